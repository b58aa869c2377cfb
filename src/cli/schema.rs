//! `schema`: what a document can say, for editors and other programs.

use serde_json::Value;

use super::exit::{Exit, Failure};
use super::out::Out;
use crate::desired::json_schema;

/// Prints it, in one line where JSON is asked for.
pub(super) fn schema(out: &mut Out) -> Result<Exit, Failure> {
    let text = json_schema();
    let parsed = out.json.then(|| serde_json::from_str::<Value>(&text));
    match parsed {
        Some(Ok(value)) => out.line(value)?,
        _ => out.line(text)?,
    }
    Ok(Exit::Clean)
}
