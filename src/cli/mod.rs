//! The program: arguments, and what comes before any verb.
//!
//! Everything here prints, parses or exits; what it prints comes from the library's handles.
//! Order matters at the start: the document is read first (a bad one is the user's to mend, with or
//! without privilege), then the namespace is entered, then signals are blocked, and only then may
//! a second thread exist.

mod apply;
mod demo;
mod destroy;
mod diagnostics;
mod doctor;
mod exit;
mod export;
mod json;
mod json_objects;
mod json_plan;
mod managers;
mod out;
mod plan;
mod ports;
mod progress;
mod report;
mod run;
mod schema;
mod session;
mod show;
mod show_objects;
mod start;
mod trial;
mod watch;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use self::exit::{Exit, Failure};
use self::out::Out;
use crate::desired::Desired;
use crate::model::network::{Table, Tables};
use crate::ring::guard::Order;
use crate::ring::memory::share_one_arena;
use crate::ring::signals::Signals;

/// Sets up Linux network links and keeps them exactly as declared.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
#[command(after_help = "\
Results go to standard output, errors to standard error. With --json both are JSON objects, one a
line, each with \"v\":1; an error has \"error\", and \"diagnostics\" where a document is at fault.

Exit status: 0 done; 1 not as declared; 2 usage or a bad file; 3 cannot, for want of io_uring, a
capability, a namespace or an answer; 130 interrupted, after a report of what was done. `run` and
`watch` are meant to be interrupted, and end with 0 then; so does any verb whose reader has gone.

Environment: RINGLINK_LOG filters the log, as RINGLINK_LOG=ringlink=trace; NO_COLOR.

Try it without risk:  ringlink run --sandbox --demo examples/host.toml")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Prints JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    /// Works in that network namespace; needs CAP_SYS_ADMIN
    #[arg(long, global = true, value_name = "NAME|PATH", conflicts_with = "sandbox")]
    netns: Option<String>,
    /// Works in a new, empty network namespace that ends with the program; needs no privilege
    #[arg(long, global = true)]
    sandbox: bool,
    /// Says more: every change while converging, counts at the end, and a log on standard error
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

/// How far a plan may go.
#[derive(Debug, Clone, Copy, Args)]
struct Allowed {
    /// Deletes a link and makes it anew where it is of another kind, or differs in what only its
    /// creation sets; what else stands on it goes along, as plan tells
    #[arg(long)]
    recreate: bool,
}

impl Allowed {
    fn apply_to(self, desired: Desired) -> Desired {
        if self.recreate { desired.with_recreation() } else { desired }
    }
}

/// What may be done without a question.
#[derive(Debug, Clone, Copy, Args)]
struct Consent {
    /// Does not ask before anything is deleted or taken over
    #[arg(long)]
    yes: bool,
    /// Makes even what would cut the SSH session that it is typed in (SSH_CONNECTION)
    #[arg(long)]
    cut_session: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes the network as declared, and keeps it so until Ctrl-C
    Run {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        allowed: Allowed,
        /// Corrects nothing: tells what differs, as it comes to differ, and when it is as declared
        /// again; needs no privilege
        #[arg(long, conflicts_with = "demo")]
        report_only: bool,
        /// Makes even what would cut the SSH session that it is typed in (SSH_CONNECTION)
        #[arg(long)]
        cut_session: bool,
        /// Breaks the network in five ways, shows each mended, and ends
        #[arg(long, requires = "sandbox")]
        demo: bool,
    },
    /// Makes the network as declared, once, and verifies it
    Apply {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        consent: Consent,
        /// Waits up to that long for what is not there yet, such as devices that are still to come:
        /// 500ms, 5s, 2m
        #[arg(long, value_name = "DURATION", value_parser = words::duration)]
        wait: Option<Duration>,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Applies, and goes back to the state before unless Enter or `confirm` comes in time
    Try {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        allowed: Allowed,
        /// How long to wait for the confirmation once it is applied
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = words::duration)]
        timeout: Duration,
    },
    /// Keeps what a `try` in this network namespace has applied
    Confirm,
    /// Has a `try` in this network namespace go back at once
    Revert,
    /// Shows what apply would change; changes nothing and needs no privilege
    Plan {
        #[command(flatten)]
        files: Files,
        /// Shows what `destroy` would remove instead
        #[arg(long)]
        destroy: bool,
        #[command(flatten)]
        allowed: Allowed,
    },
    /// Tells whether the network is as declared
    Check(Files),
    /// Removes what the document's owner made: its links, its routes, and the addresses that it
    /// gave to other devices
    Destroy {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        consent: Consent,
    },
    /// Shows changes of the network as they happen
    Watch {
        /// What to show; links, addresses and routes unless given
        #[arg(value_name = "OBJECT")]
        objects: Vec<ObjectType>,
        /// Starts with what is there
        #[arg(long)]
        dump: bool,
        /// Watches every namespace of `ip netns list` too, as they come and go; needs CAP_SYS_ADMIN
        #[arg(long)]
        all_netns: bool,
        /// Of routes, only those of that protocol, by name or number; may be repeated
        #[arg(long = "protocol", value_name = "PROTOCOL", value_parser = words::protocol)]
        protocols: Vec<u8>,
        /// Of routes, only those of that table, by name or number; may be repeated
        #[arg(long = "table", value_name = "TABLE", value_parser = words::table)]
        tables: Vec<u32>,
        /// Joins that rtnetlink group too, and shows its messages in hexadecimal where they are of
        /// an unknown type: 26 for RTNLGRP_MDB
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
        raw_group: Vec<u32>,
    },
    /// Shows the network as it is
    Show {
        /// What to show; links, addresses and routes unless given
        #[arg(value_name = "OBJECT")]
        objects: Vec<ObjectType>,
    },
    /// Writes the network as a document that `check` accepts
    Export,
    /// Prints a JSON Schema of the document, for editors and other programs
    Schema,
    /// Tells whether this host can run it, whether another manager has the links of a document, and
    /// what to change
    Doctor {
        /// Documents, or directories of *.toml; several are read as one
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Where /proc, /run and /etc are looked for
        #[arg(long, value_name = "FOLDER", default_value = "/", hide = true)]
        root: PathBuf,
    },
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
    #[value(alias = "neighbours", alias = "neigh", alias = "neighbor", alias = "neighbors")]
    Neighbour,
    #[value(name = "bridge_vlan", alias = "bridge_vlans")]
    BridgeVlan,
    Fdb,
    #[value(alias = "rules")]
    Rule,
    #[value(alias = "nexthops")]
    Nexthop,
    Netconf,
    #[value(alias = "nsids")]
    Nsid,
}

impl ObjectType {
    /// Whether these words ask for that type; none ask for links, addresses and routes.
    fn is_wanted(self, objects: &[Self]) -> bool {
        match objects {
            [] => matches!(self, Self::Link | Self::Address | Self::Route),
            objects => objects.contains(&self),
        }
    }

    fn of(table: Table) -> Self {
        match table {
            Table::Links => Self::Link,
            Table::Addresses => Self::Address,
            Table::Routes => Self::Route,
            Table::Neighbours => Self::Neighbour,
            Table::BridgeVlans => Self::BridgeVlan,
            Table::Fdb => Self::Fdb,
            Table::Rules => Self::Rule,
            Table::Nexthops => Self::Nexthop,
            Table::Netconf => Self::Netconf,
            Table::Nsids => Self::Nsid,
        }
    }

    /// The tables that these words ask for.
    fn tables(objects: &[Self]) -> Tables {
        Table::ALL.into_iter().filter(|table| Self::of(*table).is_wanted(objects)).collect()
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    share_one_arena();
    let arguments = Arguments::parse();
    let mut out = Out::new(arguments.common.color, arguments.common.json);
    start_log(arguments.common.verbose, out.has_coloured_errors);
    let result = dispatch(&arguments, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => out.fail(&failure).into(),
    }
}

fn start_log(verbose: bool, is_coloured: bool) {
    let level = if verbose { "debug" } else { "error" };
    let filter = EnvFilter::try_from_env("RINGLINK_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_coloured)
        .with_writer(std::io::stderr)
        // It would tell of a closed standard error there, and panic.
        .log_internal_errors(false)
        .init();
}

fn dispatch(arguments: &Arguments, out: &mut Out) -> Result<Exit, Failure> {
    let common = &arguments.common;
    let verbose = common.verbose;
    match &arguments.verb {
        Verb::Run { files, allowed, report_only: true, .. } => {
            let desired = allowed.apply_to(start::load(files)?);
            start::enter(common)?;
            report::run(desired, Signals::block(), verbose, out)
        }
        Verb::Run { files, allowed, demo, cut_session, .. } => {
            let desired = allowed.apply_to(start::load_to_obey(files, common)?);
            let _lock = start::writing("run", &desired, common)?;
            session::guard(&desired, *cut_session)?;
            run::run(desired, Signals::block(), *demo, verbose, out)
        }
        Verb::Apply { files, consent, wait, allowed } => {
            let (desired, applier) = start::open_to_obey(files, common)?;
            let desired = allowed.apply_to(desired);
            let _lock = start::claim("apply", &desired)?;
            let Consent { yes, cut_session } = *consent;
            let how = apply::How { yes, cut_session, wait: *wait, ..apply::APPLY };
            apply::apply(applier, &desired, &how, Signals::block(), verbose, out)
        }
        Verb::Destroy { files, consent } => {
            let (desired, applier) = start::open_to_obey(files, common)?;
            let desired = destroy::destroyed(&desired)?;
            let _lock = start::claim("destroy", &desired)?;
            let Consent { yes, cut_session } = *consent;
            let how = apply::How { yes, cut_session, ..apply::DESTROY };
            apply::apply(applier, &desired, &how, Signals::block(), verbose, out)
        }
        Verb::Try { files, allowed, timeout } => {
            let desired = allowed.apply_to(start::load_to_obey(files, common)?);
            let _lock = start::writing("try", &desired, common)?;
            trial::run(&desired, *timeout, Signals::block(), verbose, out)
        }
        Verb::Confirm => trial::order(Order::Keep, common, out),
        Verb::Revert => trial::order(Order::Revert, common, out),
        Verb::Plan { files, allowed, destroy } => {
            let (desired, applier) = start::open(files, common)?;
            let desired = allowed.apply_to(desired);
            let desired = if *destroy { destroy::destroyed(&desired)? } else { desired };
            plan::plan(&plan::make(applier, &desired, Signals::block())?, out)
        }
        Verb::Check(files) => {
            let (desired, applier) = start::open(files, common)?;
            plan::check(&plan::make(applier, &desired, Signals::block())?, out)
        }
        Verb::Watch { objects, dump, all_netns, protocols, tables, raw_group } => {
            start::enter(common)?;
            let (dump, all_netns) = (*dump, *all_netns);
            let raw_groups = raw_group;
            let wish = watch::Wish { objects, protocols, tables, dump, all_netns, raw_groups };
            watch::watch(&wish, common.netns.as_deref(), Signals::block(), out)
        }
        Verb::Export => {
            start::enter(common)?;
            export::export(Signals::block(), out)
        }
        Verb::Show { objects } => {
            start::enter(common)?;
            show::show(objects, Signals::block(), out)
        }
        Verb::Schema => schema::schema(out),
        Verb::Doctor { files, root } => {
            let desired = start::load_any(files)?;
            start::enter(common)?;
            doctor::doctor(desired.as_ref(), root, out)
        }
    }
}
