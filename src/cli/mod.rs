//! The program: arguments, and what comes before any verb.
//!
//! Everything here prints, parses or exits; what it prints comes from the library's handles.
//! Order matters at the start: the document is read first (a bad one is the user's to mend, with or
//! without privilege), then the namespace is entered, then signals are blocked, and only then may
//! a second thread exist.

mod apply;
mod demo;
mod doctor;
mod exit;
mod json;
mod out;
mod plan;
mod run;
mod show;
mod start;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::Level;

use self::exit::{Exit, Failure};
use self::out::Out;

/// Sets up Linux network links and keeps them exactly as declared.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
#[command(after_help = "\
Exit status: 0 done; 1 not as declared; 2 usage or a bad file; 3 cannot, for want of io_uring, a
capability, a namespace or an answer; 130 interrupted, after a report of what was done.

Try it without risk:  ringlink run --sandbox --demo examples/host.toml")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Prints JSON, one object a line; errors too
    #[arg(long, global = true)]
    json: bool,
    /// Works in that network namespace; needs CAP_SYS_ADMIN
    #[arg(long, global = true, value_name = "NAME|PATH", conflicts_with = "sandbox")]
    netns: Option<String>,
    /// Works in a new, empty network namespace that ends with the program; needs no privilege
    #[arg(long, global = true)]
    sandbox: bool,
    /// Says more: every change while converging, and counts at the end
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
struct Files {
    /// Documents, or directories of *.toml; several are read as one
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes the network as declared, and keeps it so until Ctrl-C
    Run {
        #[command(flatten)]
        files: Files,
        /// Breaks the network in five ways, shows each mended, and ends
        #[arg(long, requires = "sandbox")]
        demo: bool,
    },
    /// Makes the network as declared, once, and verifies it
    Apply {
        #[command(flatten)]
        files: Files,
        /// Does not ask before deletions and takeovers
        #[arg(long)]
        yes: bool,
    },
    /// Shows what apply would change; changes nothing and needs no privilege
    Plan(Files),
    /// Tells whether the network is as declared
    Check(Files),
    /// Shows changes of the network as they happen
    Watch {
        /// What to show; everything unless given
        #[arg(value_name = "OBJECT")]
        objects: Vec<ObjectType>,
        /// Starts with what is there
        #[arg(long)]
        dump: bool,
    },
    /// Shows the network as it is
    Show {
        /// What to show; everything unless given
        #[arg(value_name = "OBJECT")]
        objects: Vec<ObjectType>,
    },
    /// Tells whether this host can run it, and what to change
    Doctor,
}

/// A type of object, as `watch` and `show` take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ObjectType {
    #[value(alias = "links")]
    Link,
    #[value(alias = "addresses", alias = "addr")]
    Address,
    #[value(alias = "routes")]
    Route,
}

impl ObjectType {
    /// Whether these words ask for that type; none ask for all.
    fn is_wanted(self, objects: &[Self]) -> bool {
        objects.is_empty() || objects.contains(&self)
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = Out::new(arguments.common.color, arguments.common.json);
    let level = if arguments.common.verbose { Level::DEBUG } else { Level::WARN };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    let result = dispatch(&arguments, &mut out);
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => out.fail(&failure).into(),
    }
}

fn dispatch(arguments: &Arguments, out: &mut Out) -> Result<Exit, Failure> {
    let common = &arguments.common;
    match &arguments.verb {
        Verb::Run { files, demo } => {
            let desired = start::load(files)?;
            let signals = start::enter(common)?;
            start::require_net_admin("run")?;
            run::run(desired, signals, *demo, common.verbose, out)
        }
        Verb::Apply { files, yes } => {
            let desired = start::load(files)?;
            let signals = start::enter(common)?;
            start::require_net_admin("apply")?;
            apply::apply(&desired, signals, *yes, common.verbose, out)
        }
        Verb::Plan(files) => {
            let desired = start::load(files)?;
            start::enter(common)?;
            plan::plan(&desired, out)
        }
        Verb::Check(files) => {
            let desired = start::load(files)?;
            start::enter(common)?;
            plan::check(&desired, out)
        }
        Verb::Watch { objects, dump } => {
            let signals = start::enter(common)?;
            let netns = common.netns.as_deref();
            watch::watch(objects, *dump, netns, signals, out)
        }
        Verb::Show { objects } => {
            start::enter(common)?;
            show::show(objects, out)
        }
        Verb::Doctor => {
            start::enter(common)?;
            doctor::doctor(out)
        }
    }
}
