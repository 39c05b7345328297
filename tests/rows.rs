//! Access-log rows in Istio's default text format, as the caller's proxy writes them.

use std::fmt::Write as _;

/// A call by the caller's proxy at 10.244.1.11.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Milliseconds after 2026-11-02T03:00:00Z at which it began.
    pub(crate) at_ms: u64,
    pub(crate) duration_ms: u64,
    pub(crate) upstream_ms: u64,
    pub(crate) service: String,
    pub(crate) code: u16,
    pub(crate) flags: &'static str,
    pub(crate) details: &'static str,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            at_ms: 0,
            duration_ms: 5,
            upstream_ms: 4,
            service: "ratings".to_owned(),
            code: 200,
            flags: "-",
            details: "via_upstream",
        }
    }
}

impl Call {
    /// The line, with its end.
    pub(crate) fn row(&self) -> String {
        let mut line = String::new();
        self.write(&mut line);
        line
    }

    /// Appends the line, with its end.
    pub(crate) fn write(&self, out: &mut String) {
        let Self {
            at_ms,
            duration_ms,
            upstream_ms,
            service,
            code,
            flags,
            details,
        } = self;
        let (minute, second, ms) = (at_ms / 60_000 % 60, at_ms / 1000 % 60, at_ms % 1000);
        let id = at_ms.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        writeln!(
            out,
            "[2026-11-02T03:{minute:02}:{second:02}.{ms:03}Z] \"GET /{service}/1 HTTP/1.1\" {code} {flags} {details} - \
             \"-\" 0 462 {duration_ms} {upstream_ms} \"-\" \"curl/8\" \"{id:08x}-9deb-40ed-89d3-4f5c20d0ad94\" \
             \"{service}:9080\" \"10.244.1.41:9080\" outbound|9080||{service}.default.svc.cluster.local \
             10.244.1.11:33574 10.96.14.40:9080 10.244.1.11:48264 - default"
        )
        .unwrap();
    }
}

/// `count` good calls, 10 ms apart, after `before` such calls.
pub(crate) fn good_calls(before: u64, count: u64) -> String {
    let mut log = String::new();
    for i in before..before + count {
        let call = Call {
            at_ms: i * 10,
            ..Call::default()
        };
        call.write(&mut log);
    }
    log
}
