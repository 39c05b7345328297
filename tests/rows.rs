//! Access-log rows in Istio's default text format, as the two proxies of a call write them.

use std::fmt::Write as _;

/// A call by the caller's proxy at 10.244.1.11.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Milliseconds after 2026-11-02T03:00:00Z at which it began.
    pub(crate) at_ms: u64,
    pub(crate) duration_ms: u64,
    pub(crate) upstream_ms: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) service: String,
    pub(crate) path: String,
    pub(crate) code: u16,
    pub(crate) flags: &'static str,
    pub(crate) details: &'static str,
    /// Transport failure reason.
    pub(crate) reason: &'static str,
    /// Called pod.
    pub(crate) host: &'static str,
    /// Port of the caller's end of the upstream connection; `None` where there was none.
    pub(crate) connection: Option<u16>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            at_ms: 0,
            duration_ms: 5,
            upstream_ms: 4,
            bytes_sent: 462,
            service: "ratings".to_owned(),
            path: "/ratings/1".to_owned(),
            code: 200,
            flags: "-",
            details: "via_upstream",
            reason: "-",
            host: "10.244.1.41:9080",
            connection: Some(33574),
        }
    }
}

impl Call {
    /// A call that its proxy answered itself, without an upstream.
    pub(crate) fn unsent(code: u16, flags: &'static str, details: &'static str) -> Self {
        Self {
            code,
            flags,
            details,
            connection: None,
            host: "-",
            ..Self::default()
        }
    }

    /// The line of the caller's proxy, with its end.
    pub(crate) fn row(&self) -> String {
        let mut line = String::new();
        self.write(&mut line);
        line
    }

    /// Appends the line of the caller's proxy, with its end.
    pub(crate) fn write(&self, out: &mut String) {
        let service = &self.service;
        let local = self.local_address("10.244.1.11");
        self.write_start(out);
        // Without a route there is no cluster.
        let (cluster, route) = if self.flags.contains("NR") {
            ("-".to_owned(), "-")
        } else {
            (
                format!("outbound|9080||{service}.default.svc.cluster.local"),
                "default",
            )
        };
        writeln!(
            out,
            "{cluster} {local} 10.96.14.40:9080 10.244.1.11:48264 - {route}"
        )
        .unwrap();
    }

    /// Appends the line of the called proxy, with its end.
    pub(crate) fn write_called(&self, out: &mut String) {
        let (service, host) = (&self.service, self.host);
        let local = self.local_address("127.0.0.6");
        self.write_start(out);
        writeln!(
            out,
            "inbound|9080|| {local} {host} 10.244.1.11:33574 \
             outbound_.9080_._.{service}.default.svc.cluster.local default"
        )
        .unwrap();
    }

    /// What both proxies write alike.
    fn write_start(&self, out: &mut String) {
        let Self {
            at_ms,
            duration_ms,
            bytes_sent,
            service,
            path,
            code,
            flags,
            details,
            reason,
            host,
            ..
        } = self;
        let (minute, second, ms) = (at_ms / 60_000 % 60, at_ms / 1000 % 60, at_ms % 1000);
        let id = at_ms.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let upstream_ms = if *details == "via_upstream" {
            self.upstream_ms.to_string()
        } else {
            "-".to_owned()
        };
        write!(
            out,
            "[2026-11-02T03:{minute:02}:{second:02}.{ms:03}Z] \"GET {path} HTTP/1.1\" {code} {flags} {details} - \
             \"{reason}\" 0 {bytes_sent} {duration_ms} {upstream_ms} \"-\" \"curl/8\" \
             \"{id:08x}-9deb-40ed-89d3-4f5c20d0ad94\" \"{service}:9080\" \"{host}\" "
        )
        .unwrap();
    }

    fn local_address(&self, ip: &str) -> String {
        self.connection
            .map_or_else(|| "-".to_owned(), |port| format!("{ip}:{port}"))
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
