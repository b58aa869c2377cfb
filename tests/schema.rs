//! `schema` describes the documents that the program reads, and no others.
//!
//! `RINGLINK_BLESS=1 cargo test --test schema` writes docs/schema.json anew.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;

use common::program::{json, run, status, text};
use ringlink::Desired;
use ringlink::desired::json_schema;
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(&json_schema()).expect("JSON")
}

/// Why a value is not as a schema says, by the keywords that ours uses; an unknown one is a fault.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fault = |what: &str| found.push(format!("{at}: {what}"));
    for (keyword, wanted) in schema.as_object().expect("a schema") {
        let holds = match keyword.as_str() {
            "$schema" | "title" | "description" | "default" | "$defs" | "properties" => true,
            "additionalProperties" | "items" | "$ref" | "propertyNames" | "anyOf" => true,
            "type" => match wanted.as_str().expect("a type") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                other => panic!("type {other}"),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().expect("a list").contains(value),
            "minimum" => value.as_i64() >= wanted.as_i64(),
            "maximum" => value.as_i64() <= wanted.as_i64(),
            "minLength" => value.as_str().map(str::len) >= wanted.as_u64().map(|it| it as usize),
            "maxLength" => value.as_str().map(str::len) <= wanted.as_u64().map(|it| it as usize),
            "minItems" => value.as_array().map(Vec::len) >= wanted.as_u64().map(|it| it as usize),
            "required" => {
                let names = wanted.as_array().expect("a list").iter().filter_map(Value::as_str);
                names.into_iter().all(|name| value.get(name).is_some())
            }
            // What they say is said again by the checks of the reader.
            "pattern" | "format" => true,
            other => panic!("the test does not know `{other}`"),
        };
        if !holds {
            fault(&format!("{keyword} {wanted}"));
        }
    }
    let sub = |schema: &Value, value: &Value, at: &str| faults(root, schema, value, at);
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect("a definition");
        found.extend(sub(target, value, at));
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let each: Vec<_> = any.iter().map(|schema| sub(schema, value, at)).collect();
        if !each.iter().any(Vec::is_empty) {
            found.extend(each.into_iter().flatten());
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{key}");
        let own = schema["properties"].get(key);
        match (own, &schema["additionalProperties"]) {
            (Some(own), _) => found.extend(sub(own, inner, &at)),
            (None, Value::Bool(false)) => found.push(format!("{at}: is not a key")),
            (None, Value::Null) => {}
            (None, others) => found.extend(sub(others, inner, &at)),
        }
        if schema["propertyNames"].is_object() {
            found.extend(sub(&schema["propertyNames"], &json!(key), &at));
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            found.extend(sub(&schema["items"], item, &format!("{at}/{number}")));
        }
    }
    found
}

fn validate(document: &Value) -> Vec<String> {
    let schema = schema();
    faults(&schema, &schema, document, "")
}

fn from_toml(text: &str) -> Value {
    toml::from_str(text).expect("TOML")
}

#[test]
fn the_schema_is_the_committed_one_and_the_program_prints_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema.json");
    let text_now = json_schema() + "\n";
    if std::env::var_os("RINGLINK_BLESS").is_some() {
        std::fs::write(&path, &text_now).expect("a writable tree");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text_now,
        "docs/schema.json is not what the key tables say: RINGLINK_BLESS=1 cargo test --test schema"
    );
    let printed = run(&["schema"]);
    assert_eq!(status(&printed), Some(0));
    assert_eq!(text(&printed.stdout), text_now);
    let line = run(&["schema", "--json"]);
    assert_eq!(text(&line.stdout).lines().count(), 1);
    assert_eq!(json(&line), schema());
}

#[test]
fn documents_that_are_read_are_as_the_schema_says() {
    let example = std::fs::read_to_string("examples/host.toml").expect("the example");
    let every_table = "version = 1\n[owner]\nname = \"own\"\ngroup = 4710\nprotocol = 201\nprune = true\n\
        [link.br0]\nkind = \"bridge\"\nstate = \"up\"\nmtu = 1400\nipv4 = { forwarding = true }\n\
        addresses = [\"192.0.2.1/24\", { address = \"2001:db8::1/64\", nodad = true, \
        valid_lft = \"forever\", preferred_lft = 600 }]\n\
        [link.v0]\nveth = { peer = \"p0\" }\nmaster = \"br0\"\nport = { learning = false }\n\
        [link.eth0]\nextra_addresses = \"remove\"\naddresses = []\ntxqueuelen = 500\n\
        [[route]]\nto = \"default\"\nvia = \"192.0.2.254\"\nmetric = 5\ntable = \"main\"\n\
        [[route]]\nto = \"198.51.100.0/24\"\n\
        nexthops = [{ via = \"192.0.2.2\", weight = 2 }, { via = \"192.0.2.3\" }]\n\
        [[rule]]\npriority = 100\nfrom = \"192.0.2.0/24\"\ntable = 100\nsport = \"80-90\"\n\
        ipproto = \"tcp\"\n[[neighbour]]\ndev = \"br0\"\naddress = \"192.0.2.9\"\n\
        mac = \"02:00:00:00:00:09\"\n";
    for text in [example.as_str(), every_table] {
        let document = from_toml(text);
        assert_eq!(validate(&document), Vec::<String>::new());
        // It is the same document, which the program reads.
        let as_json = serde_json::to_string(&document).expect("JSON");
        Desired::from_json("test.json", &as_json).expect("a valid document");
    }
}

#[test]
fn documents_that_are_refused_for_a_key_or_a_type_are_not() {
    for (bad, fault) in [
        ("[link.br0]\nkind = \"bridge\"", "required"),
        ("version = 2", "/version"),
        ("version = 1\nlinks = 1", "/links: is not a key"),
        ("version = 1\n[owner]\nprune = true", "/owner: required"),
        ("version = 1\n[link.br0]\nkind = \"bridg\"", "/link/br0/kind: enum"),
        ("version = 1\n[link.br0]\nmtv = 1400", "/link/br0/mtv: is not a key"),
        ("version = 1\n[link.br0]\nmtu = 10", "/link/br0/mtu: minimum"),
        ("version = 1\n[link.br0]\nmtu = \"1400\"", "/link/br0/mtu: type"),
        ("version = 1\n[link.br0]\nbridge = { stp = true }", "/link/br0/bridge/stp: is not a key"),
        ("version = 1\n[link.x0]\nvlan = { dev = \"eth0\" }", "/link/x0/vlan: required"),
        ("version = 1\n[link.eth0]\nipv4 = { nonsense = 1 }", "/link/eth0/ipv4/nonsense"),
        ("version = 1\n[link.eth0]\naddresses = [1]", "/link/eth0/addresses/0"),
        ("version = 1\n[link.a-name-that-is-too-long]\nmtu = 1400", "maxLength"),
        ("version = 1\n[[route]]\nvia = \"192.0.2.1\"", "/route/0: required"),
        ("version = 1\n[[route]]\nto = \"10.0.0.0/8\"\ntype = \"black\"", "/route/0/type: enum"),
        ("version = 1\n[[rule]]\ntable = 100", "/rule/0: required"),
        ("version = 1\n[[neighbour]]\ndev = \"br0\"", "/neighbour/0: required"),
    ] {
        let document = from_toml(bad);
        let found = validate(&document);
        assert!(found.iter().any(|it| it.contains(fault)), "{bad}: {found:?}");
        assert!(Desired::from_toml("test.toml", bad).is_err(), "the program reads {bad}");
    }
}
