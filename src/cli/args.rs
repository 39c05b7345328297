//! What can be typed. Nothing here decides what it means.

use super::output::OutputFile;
use super::time::{TypedSpan, TypedTime, parse_span, parse_time};
use crate::decode::log::{Layout, Layouts};
use crate::input::Source;
use crate::query::Field;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use std::fmt::Write as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  postmesh incident/                        everything that lies there
  postmesh -S 03:00 -U 03:30 incident/      half an hour of it
  kubectl logs deploy/web -c istio-proxy | postmesh -
  postmesh -o report.html incident/         the report, and as a page; .md, .json
  postmesh inspect incident/                what is in there";

const EXIT_STATUS: &str = "\
Exit status:
  0  nothing is wrong with the mesh
  1  a critical or warning finding
  2  usage error, or nothing could be read
  3  an input could not be opened, or the inputs do not suffice for a verdict
  130  interrupted: what was known by then is written; a second interrupt ends at once
  Damage inside an input never changes it; --exit-zero turns 1 and 3 into 0.";

const SHOW_EXAMPLES: &str = "\
Examples:
  postmesh show incident/ --ref ratings-v1.log:110            a line, and two lines before and after it
  postmesh show incident/ --ref 'ratings-v1.pcap frame 1237'  a frame, and its neighbours of the same connection
  postmesh show incident/ --ref 3:20411 --ref 5#918 -C 0      by the numbers of the inputs
  postmesh show incident/ --report report.json --finding 1    all that a finding cites";

const SHOW_STATUS: &str = "\
Exit status:
  0  at least one place was found; those that were not are named on standard error
  2  usage error, or no place was found";

const TRACE_EXAMPLES: &str = "\
Examples:
  postmesh trace incident/ --request d64c4d97-e0ff-40d7-9049-eeb9a094d0f3
  postmesh trace incident/ --connection 10.244.1.11:38362-10.244.2.31:9080
  postmesh trace incident/ --ref ratings-v1.log:110           the request of that row";

const TRACE_STATUS: &str = "\
Exit status:
  0  something was found
  2  usage error, or nothing was found";

const BATCH_STATUS: &str = "\
Exit status:
  0  nothing is wrong in any of them
  1  a critical or warning finding in one of them
  2  usage error, or none could be read
  3  one could not be read, or did not suffice for a verdict
  --exit-zero turns 1 and 3 into 0.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  postmesh export incident/ --table requests --format csv > requests.csv
  postmesh export incident/ --table streams | jq 'select(.outcome != \"good\")'";

const SLICE_EXAMPLES: &str = "\
Examples:
  postmesh slice incident/ --finding 1 -o small/
  postmesh analyze small/                                     gives the same verdict

Secrets and names in the copies are as they stand in the inputs.";

const REDACT_EXAMPLES: &str = "\
Examples:
  head -c 32 /dev/urandom > postmesh.key
  postmesh redact incident/ -o to-share/ --pseudonyms postmesh.key
  postmesh to-share/                                          the same answer, with other names";

const DIFF_EXAMPLES: &str = "\
Examples:
  postmesh diff yesterday/ today/                             two folders of inputs
  postmesh diff yesterday.json today.json                     two saved reports
  postmesh diff incident/ --baseline 02:30..03:00 --against 03:00..03:30";

const DIFF_STATUS: &str = "\
Exit status:
  0  nothing relevant became worse
  1  something became worse: a finding, failures, latency, error texts, connections
  2  usage error, or nothing could be read
  3  there is too little on a side to compare
  --exit-zero turns 1 and 3 into 0.";

/// Says what broke a service mesh, from the logs of its proxies.
///
/// Reads istio-proxy logs (access-log lines mixed with component lines, in files or folders, compressed or
/// wrapped in any way that kubectl, a container runtime or docker does) and says what broke, where, since when,
/// and how slow it was. It works offline and changes nothing.
#[derive(Debug, Parser)]
#[command(
    name = "postmesh",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}"),
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) analyze: AnalyzeArgs,
}

/// A command. `postmesh PATH...` is `postmesh analyze PATH...`; a file called as a command is `./analyze`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what broke, where, since when, and how slow it was (the default)
    #[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}"))]
    Analyze(AnalyzeArgs),
    /// Say what is in these inputs: kind, format, pod, span, lines not understood
    Inspect(InspectArgs),
    /// Print what a report cites, as it stands in the inputs, with what stands around it
    #[command(after_help = SHOW_EXAMPLES, after_long_help = format!("{SHOW_EXAMPLES}\n\n{SHOW_STATUS}"))]
    Show(ExcerptArgs),
    /// Draw one request or connection through every input, as a ladder
    #[command(after_help = TRACE_EXAMPLES, after_long_help = format!("{TRACE_EXAMPLES}\n\n{TRACE_STATUS}"))]
    Trace(TraceArgs),
    /// Say what is new, gone or slower between two runs, or two spans of one
    #[command(after_help = DIFF_EXAMPLES, after_long_help = format!("{DIFF_EXAMPLES}\n\n{DIFF_STATUS}"))]
    Diff(DiffArgs),
    /// Print a script that gathers, by reading alone, what a diagnosis needs
    #[command(
        after_help = "postmesh runs nothing itself: look the script through, then run it where kubectl and istioctl work."
    )]
    Collect(CollectArgs),
    /// Say what broke in each of many incidents, a line each
    #[command(after_long_help = BATCH_STATUS)]
    Batch(BatchArgs),
    /// Write a table of the report as rows, for other programs
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Count access-log rows by any of their fields, with shares and percentiles
    #[command(after_help = top_fields(false), after_long_help = top_fields(true))]
    Top(TopArgs),
    /// Cut the part of the inputs that gives a finding into a folder of its own
    #[command(after_help = SLICE_EXAMPLES)]
    Slice(SliceArgs),
    /// Write copies of logs in which names are replaced and secrets masked
    #[command(after_help = REDACT_EXAMPLES)]
    Redact(RedactArgs),
    /// List, show or test the catalogue of error texts
    Signatures(SignaturesArgs),
    /// Print the JSON Schema of a document
    Schema {
        /// Which document
        #[arg(value_enum, default_value = "report")]
        document: Document,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff
    Man,
}

/// Arguments of `analyze`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct AnalyzeArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) catalog: CatalogArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    /// Examples kept of each signature and each piece of evidence
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        help_heading = "Output",
        hide_short_help = true,
        value_parser = count(0, 1000)
    )]
    pub(super) examples: u64,
    /// List TCP connections in reports as data
    ///
    /// All of them up to 100,000 in order of their first packet, else a sample of as many. Only JSON holds them.
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(super) streams: bool,
    /// Also write FILE, by its extension: .html, .md, .json or .txt (repeatable)
    #[arg(
        short,
        long = "output",
        value_name = "FILE",
        help_heading = "Output",
        value_parser = PathBufValueParser::new().try_map(|path| OutputFile::named(&path))
    )]
    pub(super) output: Vec<OutputFile>,
    /// Format of standard output [default: text]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub(super) format: Option<ReportFormat>,
    #[command(flatten)]
    pub(super) draw: DrawArgs,
    /// Print errors alone, and a report only if --format asks for it
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    /// End with status 0 whatever was found; errors still end with 2
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(super) exit_zero: bool,
    /// Leave out what differs from run to run: threads, time, memory
    #[arg(long, help_heading = "Output", hide_short_help = true)]
    pub(super) no_run_info: bool,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct ExcerptArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// A place, as reports print it: `FILE:LINE` or 'FILE frame FRAME' (may be given several times)
    ///
    /// FILE is the name in the report, the end of it after a slash, or the number of the input; 5#918 is frame 918 of
    /// input 5. A whole line of citations can be given as it was printed.
    #[arg(
        long = "ref",
        value_name = "REF",
        allow_hyphen_values = true,
        required_unless_present = "report",
        help_heading = "Select",
        value_parser = crate::follow::reference::parse
    )]
    pub(super) references: Vec<Places>,
    /// Show what this saved report (JSON) cites
    #[arg(long, value_name = "FILE", help_heading = "Select")]
    pub(super) report: Option<PathBuf>,
    /// Of the report, only what the finding with this rank cites
    #[arg(long, value_name = "N", requires = "report", help_heading = "Select")]
    pub(super) finding: Option<u64>,
    /// Lines, or frames of the same connection, before and after each place
    #[arg(short = 'C', long, value_name = "N", default_value_t = 2, help_heading = "Output", value_parser = count(0, 1000))]
    pub(super) context: u64,
    /// Do not cut lines to the width
    #[arg(long, help_heading = "Output")]
    pub(super) full: bool,
    /// Format of standard output [default: text]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) draw: DrawArgs,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `trace`.
#[derive(Debug, clap::Args)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) layouts: LayoutArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Order events by what this saved report (JSON) of the same inputs says of their clocks
    #[arg(long, value_name = "FILE", help_heading = "Select")]
    pub(super) report: Option<PathBuf>,
    /// Format of standard output [default: text]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) draw: DrawArgs,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `collect`.
#[derive(Debug, clap::Args)]
pub(super) struct CollectArgs {
    /// The namespace in which something is wrong
    #[arg(short, long, value_name = "NAME", value_parser = object_name)]
    pub(super) namespace: String,
    /// The namespace of the control plane
    #[arg(long, value_name = "NAME", default_value = "istio-system", value_parser = object_name)]
    pub(super) istio_namespace: String,
    /// These pods only (may be given several times) [default: all of the namespace]
    #[arg(long = "pod", value_name = "NAME", value_parser = object_name)]
    pub(super) pods: Vec<String>,
    /// How far back logs go: 90s, 30m, 1h30m
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(super) since: String,
}

/// The name of a Kubernetes object.
fn object_name(text: &str) -> Result<String, String> {
    if crate::catalog::collect::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("no name of a Kubernetes object: lower-case letters, digits, '-' and '.'".to_owned())
    }
}

/// A duration as kubectl takes it.
fn duration(text: &str) -> Result<String, String> {
    if crate::catalog::collect::is_duration(text) {
        Ok(text.to_owned())
    } else {
        Err("no duration: 90s, 30m, 1h30m".to_owned())
    }
}

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    /// Compare spans of the same inputs: this one is before; START..END, each as after --since
    #[arg(long, value_name = "SPAN", requires = "against", help_heading = "Select", value_parser = parse_span)]
    pub(super) baseline: Option<TypedSpan>,
    /// The span that is compared with the baseline
    #[arg(long, value_name = "SPAN", requires = "baseline", help_heading = "Select", value_parser = parse_span)]
    pub(super) against: Option<TypedSpan>,
    /// Keep this namespace (may be given several times)
    #[arg(short, long = "namespace", value_name = "NAME", help_heading = "Select")]
    pub(super) namespaces: Vec<String>,
    /// Keep this pod, or the pods of this workload (may be given several times)
    #[arg(long = "pod", value_name = "NAME", help_heading = "Select")]
    pub(super) pods: Vec<String>,
    /// Keep access-log rows that meet a condition (see `postmesh top --help`)
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Select", value_parser = crate::query::parse)]
    pub(super) condition: Option<crate::query::Condition>,
    #[command(flatten)]
    pub(super) catalog: CatalogArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    /// End with status 0 whatever changed; errors still end with 2
    #[arg(long, help_heading = "Output")]
    pub(super) exit_zero: bool,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `batch`.
#[derive(Debug, clap::Args)]
pub(super) struct BatchArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) catalog: CatalogArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    #[command(flatten)]
    pub(super) show: ShowArgs,
    /// Also write FILE, a page of all incidents (.html) or the lines as data (.json) (repeatable)
    #[arg(
        short,
        long = "output",
        value_name = "FILE",
        help_heading = "Output",
        value_parser = PathBufValueParser::new().try_map(|path| OutputFile::named(&path))
    )]
    pub(super) output: Vec<OutputFile>,
    /// Also write the report of each incident into DIR, as a page that the pages of all link to
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(super) reports: Option<PathBuf>,
    /// End with status 0 whatever was found; errors still end with 2
    #[arg(long, help_heading = "Output")]
    pub(super) exit_zero: bool,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) catalog: CatalogArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    /// Which table
    #[arg(long, value_name = "TABLE", help_heading = "Output")]
    pub(super) table: ExportTable,
    /// Format of the rows
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "ndjson",
        help_heading = "Output"
    )]
    pub(super) format: RowFormat,
    /// Print errors and rows alone: no warnings, no progress
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// Arguments of `slice`.
#[derive(Debug, clap::Args)]
pub(super) struct SliceArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) catalog: CatalogArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    /// The finding, by its rank in the report
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Select")]
    pub(super) finding: u64,
    /// Write into this folder, which is not there yet or empty
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub(super) output: PathBuf,
    /// Print errors and what was written alone: no warnings, no progress
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
}

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
pub(super) struct TopArgs {
    /// Fields by which rows are grouped, parted by commas
    #[arg(value_name = "FIELD[,FIELD]", value_parser = fields)]
    pub(super) fields: Fields,
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) select: SelectArgs,
    #[command(flatten)]
    pub(super) tune: TuneArgs,
    /// Groups printed; 0 for all
    #[arg(
        short = 'N',
        long,
        value_name = "N",
        default_value_t = 20,
        help_heading = "Output"
    )]
    pub(super) limit: u64,
    /// What the first groups have most of
    #[arg(long, value_name = "FIGURE", default_value = "rows", help_heading = "Output")]
    pub(super) by: TopOrder,
    /// Format of standard output [default: text]
    #[arg(short, long, value_name = "FORMAT", help_heading = "Output")]
    pub(super) format: Option<TableFormat>,
    #[command(flatten)]
    pub(super) draw: DrawArgs,
    /// Print errors and the table alone: no warnings, no progress
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) privacy: PrivacyArgs,
    #[command(flatten)]
    pub(super) names: PseudonymArgs,
}

/// A figure of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TopOrder {
    /// Rows
    Rows,
    /// Rows that failed
    Failed,
    /// Share of its rows that failed
    FailedShare,
    /// Median duration
    P50,
    /// 90th percentile of durations
    P90,
    /// 99th percentile of durations
    P99,
    /// Longest duration
    Max,
}

/// A format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    /// For people
    Text,
    /// For programs: one object
    Json,
    /// RFC 4180; texts that look like formulas are led by an apostrophe
    Csv,
}

/// The fields of one argument; by another name, since a `Vec` means several arguments.
type Fields = Vec<Field>;

/// Fields by their names.
fn fields(names: &str) -> Result<Fields, String> {
    let known = || {
        let known: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        format!("there are {}", known.join(", "))
    };
    let field = |name: &str| Field::named(name.trim()).ok_or_else(known);
    names.split(',').map(field).collect()
}

/// The fields, with what they are if `all` is asked for.
fn top_fields(all: bool) -> String {
    let mut text = "\
Examples:
  postmesh top destination,flags incident/ --where 'code>=500'
  postmesh top path incident/ --by p99 --where 'reporter=source'
  postmesh top minute,code incident/ -f csv

Rows of callers and of called proxies are never counted together: one request is a row of each.
Fields:"
        .to_owned();
    for field in Field::ALL {
        if all {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {:<18} {}", field.name(), field.about());
        } else {
            text.push(' ');
            text.push_str(field.name());
        }
    }
    text
}

/// Arguments of `redact`.
#[derive(Debug, clap::Args)]
pub(super) struct RedactArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) layouts: LayoutArgs,
    /// Folder for the copies; made, or empty
    ///
    /// Copies are written decompressed, below the same folders with other names. Packet captures are not copied.
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub(super) output: PathBuf,
    /// The key by which pseudonyms are made: at least 16 bytes that nobody can guess
    #[arg(long, value_name = "FILE", help_heading = "Privacy")]
    pub(super) pseudonyms: PathBuf,
    /// Write which pseudonym stands for what into FILE, which only its owner may read
    #[arg(long, value_name = "FILE", help_heading = "Privacy")]
    pub(super) pseudonym_map: Option<PathBuf>,
}

/// A table of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportTable {
    /// Counts and percentiles by destination, route and source
    Requests,
    /// TCP connections of captures
    Streams,
    /// Known error texts that were met
    Signatures,
}

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RowFormat {
    /// A JSON object a line, as in the report
    Ndjson,
    /// RFC 4180; texts that look like formulas are led by an apostrophe
    Csv,
}

/// A document that has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Document {
    /// What `analyze` writes
    Report,
    /// What `diff` writes
    Diff,
}

/// The places of one argument; by another name, since a `Vec` in an option means several arguments.
type Places = Vec<crate::follow::reference::Reference>;

/// What to follow.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = "Select")]
pub(super) struct TargetArgs {
    /// A request, by its x-request-id
    #[arg(long, value_name = "ID")]
    pub(super) request: Option<String>,
    /// A connection, by its two addresses with ports
    #[arg(long, value_name = "4-TUPLE", value_parser = crate::follow::tuple::parse)]
    pub(super) connection: Option<crate::follow::tuple::FourTuple>,
    /// The request of a row, or the connection of a frame, as reports cite it: `FILE:LINE` or 'FILE frame FRAME'
    #[arg(long = "ref", value_name = "REF", allow_hyphen_values = true, value_parser = crate::follow::reference::parse)]
    pub(super) reference: Option<Places>,
}

/// What to read.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// Files or folders of logs, `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
}

/// How rows are laid out.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Tune")]
pub(super) struct LayoutArgs {
    /// Also read access logs of this format string, or that of @FILE
    ///
    /// What `accessLogFormat` says in the mesh configuration, or `text_format_source` or `json_format` of an access log of Envoy's: a text with
    /// operators such as `%RESPONSE_CODE%`, or a JSON object of them. Istio's and Envoy's own formats are known,
    /// and those of a mesh configuration among the inputs are found there.
    #[arg(long = "access-log-format", value_name = "FORMAT", value_parser = layout)]
    pub(super) access_log_formats: Vec<Layout>,
}

impl LayoutArgs {
    /// What reads such rows.
    pub(super) fn compiled(&self) -> Layouts {
        Layouts::new(self.access_log_formats.iter().cloned())
    }

    /// The same, or what reads rows of the formats that a mesh configuration among the inputs gives.
    pub(super) fn or_of_mesh(&self, sources: &[Source]) -> Layouts {
        if self.access_log_formats.is_empty() {
            crate::follow::layouts::of(sources)
        } else {
            self.compiled()
        }
    }
}

/// A format string, or the file that holds it.
fn layout(typed: &str) -> Result<Layout, String> {
    let format = match typed.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        None => typed.to_owned(),
    };
    Layout::compile(&format).map_err(|error| error.to_string())
}

/// What to keep of it.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Select")]
pub(super) struct SelectArgs {
    /// Leave out what completed before TIME: RFC 3339, a date, or 03:00 (UTC)
    ///
    /// 2026-11-02T03:00:00Z, 2026-11-02 (its beginning), or 03:00 of the day of the data. UTC where no offset is given.
    #[arg(short = 'S', long, value_name = "TIME", value_parser = parse_time)]
    pub(super) since: Option<TypedTime>,
    /// Leave out what completed after TIME; a date alone means its end
    #[arg(short = 'U', long, value_name = "TIME", value_parser = parse_time)]
    pub(super) until: Option<TypedTime>,
    /// Keep this namespace (may be given several times)
    #[arg(short, long = "namespace", value_name = "NAME")]
    pub(super) namespaces: Vec<String>,
    /// Keep this pod, or the pods of this workload (may be given several times)
    #[arg(long = "pod", value_name = "NAME")]
    pub(super) pods: Vec<String>,
    /// Keep access-log rows that meet a condition: 'code>=500 and flags has UC'
    ///
    /// Component lines and packets stay. `postmesh top --help` lists the fields; docs/query.md has the language.
    #[arg(long = "where", value_name = "CONDITION", value_parser = crate::query::parse)]
    pub(super) condition: Option<crate::query::Condition>,
}

/// Which catalogue.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Catalogue")]
pub(super) struct CatalogArgs {
    /// Add error texts of your own, or replace built-in ones (TOML; repeatable)
    #[arg(long = "signatures", value_name = "FILE")]
    pub(super) signature_files: Vec<PathBuf>,
    /// Add causes of your own, or replace built-in ones (TOML; repeatable)
    #[arg(long = "causes", value_name = "FILE")]
    pub(super) cause_files: Vec<PathBuf>,
}

/// What may be shown.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Privacy")]
pub(super) struct PrivacyArgs {
    /// Show credentials, tokens, cookies and values of queries as they stand in the inputs
    #[arg(long, hide_short_help = true)]
    pub(super) show_secrets: bool,
}

/// Which names are shown.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Privacy")]
pub(super) struct PseudonymArgs {
    /// Show other names and addresses in place of real ones, made with the key in FILE
    ///
    /// The same key gives the same pseudonyms in every run and every format. FILE holds at least 16 bytes that nobody can
    /// guess: head -c 32 /dev/urandom > postmesh.key
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(super) pseudonyms: Option<PathBuf>,
    /// Write which pseudonym stands for what into FILE, which only its owner may read
    #[arg(long, value_name = "FILE", requires = "pseudonyms", hide_short_help = true)]
    pub(super) pseudonym_map: Option<PathBuf>,
}

/// How to read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Tune")]
pub(super) struct TuneArgs {
    /// Worker threads [default: one for each core]
    #[arg(short = 'j', long, value_name = "N", value_parser = count(1, 1024))]
    pub(super) threads: Option<u64>,
    /// Bytes of a block
    #[arg(long, value_name = "BYTES", hide = true, value_parser = count(1, 1 << 30))]
    pub(super) block_size: Option<u64>,
    #[command(flatten)]
    pub(super) layouts: LayoutArgs,
}

/// How to show.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ShowArgs {
    /// Format of standard output [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) draw: DrawArgs,
    /// Print errors alone: no warnings, no progress, no report unless --format asks for it
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How to draw text.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct DrawArgs {
    /// Columns of the text [default: those of the terminal up to 160, else 80]
    #[arg(long, value_name = "N", value_parser = count(40, 1000))]
    pub(super) width: Option<u64>,
    /// Draw with ASCII alone
    #[arg(long)]
    pub(super) ascii: bool,
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help = "When to colour; auto heeds the terminal, NO_COLOR and CLICOLOR_FORCE"
    )]
    pub(super) color: When,
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true,
        help = "When to make names of inputs links that a terminal opens (OSC 8); auto as colours, and never with --pseudonyms"
    )]
    pub(super) hyperlinks: When,
}

/// Arguments of `signatures`.
#[derive(Debug, clap::Args)]
pub(super) struct SignaturesArgs {
    #[command(subcommand)]
    pub(super) command: SignaturesCommand,
}

/// What to do with the catalogue of error texts.
#[derive(Debug, Subcommand)]
pub(super) enum SignaturesCommand {
    /// List the error texts that are known
    List(SignatureFiles),
    /// Show one: what it looks for, what it points to, where it is documented
    Show {
        /// Its id, as in the list
        id: String,
        #[command(flatten)]
        files: SignatureFiles,
    },
    /// Run each against the texts that it must and must not match; status 1 if one fails
    Test(SignatureFiles),
}

/// Files with error texts of the user, and how to show.
#[derive(Debug, clap::Args)]
pub(super) struct SignatureFiles {
    /// Add error texts of your own, or replace built-in ones (TOML; may be given several times)
    #[arg(long = "signatures", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) draw: DrawArgs,
}

/// A format of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs: one object, see `postmesh schema`
    Json,
}

/// A format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people
    Text,
    /// For programs: one object, see `postmesh schema`
    Json,
    /// For a ticket
    Markdown,
    /// For people: one page that loads nothing
    Html,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// A number between two bounds, both included.
fn count(least: u64, most: u64) -> clap::builder::RangedU64ValueParser<u64> {
    clap::builder::RangedU64ValueParser::new().range(least..=most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_argument_is_explained_without_a_full_stop() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    !help.is_empty() && !help.ends_with('.'),
                    "{}: {help}",
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }
}
