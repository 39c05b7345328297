//! Connections as scripts of packets, many under way at a time.

use crate::packet::{ACK, CaptureWriter, FIN, Path, RST, SYN, Segment};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Connections and DNS as a mesh has them.
    Traffic,
    /// SYNs alone.
    Flood,
}

/// Connections under way at any time.
const UNDER_WAY: usize = 400;

/// Largest payload of a segment.
const SEGMENT_BYTES: usize = 1448;

/// What must be counted.
#[derive(Debug, Default)]
pub(crate) struct Expect {
    pub(crate) packets: u64,
    pub(crate) streams: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) retransmissions: u64,
    pub(crate) client_hellos: u64,
    pub(crate) http_requests: u64,
    pub(crate) dns_queries: u64,
    pub(crate) name_errors: u64,
}

impl Expect {
    pub(crate) fn to_json(&self) -> String {
        let fields = [
            ("packets", self.packets),
            ("streams", self.streams),
            ("refused", self.refused),
            ("unanswered", self.unanswered),
            ("retransmissions", self.retransmissions),
            ("client_hellos", self.client_hellos),
            ("http_requests", self.http_requests),
            ("dns_queries", self.dns_queries),
            ("name_errors", self.name_errors),
        ];
        let mut text = String::from("{\n");
        for (at, (name, value)) in fields.iter().enumerate() {
            let comma = if at + 1 == fields.len() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  \"{name}\": {value}{comma}");
        }
        text + "}\n"
    }
}

/// Numbers without order that are the same in every run (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// One packet of a script.
struct Step {
    from_client: bool,
    segment: Segment,
    payload: Vec<u8>,
}

/// A connection that is under way.
struct Connection {
    path: Path,
    steps: VecDeque<Step>,
}

/// Writes packets until the file has at least `bytes`; connections under way are ended.
pub(crate) fn write<W: Write>(mix: Mix, bytes: u64, out: &mut CaptureWriter<W>) -> io::Result<Expect> {
    let mut expect = Expect::default();
    match mix {
        Mix::Traffic => traffic(bytes, out, &mut expect)?,
        Mix::Flood => flood(bytes, out, &mut expect)?,
    }
    expect.packets = out.packets;
    Ok(expect)
}

fn flood<W: Write>(bytes: u64, out: &mut CaptureWriter<W>, expect: &mut Expect) -> io::Result<()> {
    while out.bytes < bytes {
        let number = expect.streams;
        let [_, a, b, c] = u32::try_from(number / 60_000).unwrap_or(0).to_be_bytes();
        let path = Path {
            source: [10, a, b, c],
            source_port: u16::try_from(number % 60_000).unwrap_or(0) + 1024,
            destination: [10, 244, 1, 9],
            destination_port: 8080,
        };
        let segment = Segment {
            sequence: u32::try_from(number & 0xffff_ffff).unwrap_or(0),
            acknowledgment: 0,
            flags: SYN,
        };
        out.wait_us(1);
        out.tcp(path, segment, &[])?;
        expect.streams += 1;
        expect.unanswered += 1;
    }
    Ok(())
}

fn traffic<W: Write>(bytes: u64, out: &mut CaptureWriter<W>, expect: &mut Expect) -> io::Result<()> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut under_way: Vec<Connection> = Vec::with_capacity(UNDER_WAY);
    let mut number = 0_u64;
    loop {
        while out.bytes < bytes && under_way.len() < UNDER_WAY {
            under_way.push(connection(number, &mut random, expect));
            number += 1;
            if number.is_multiple_of(4) {
                question(number, &mut random, out, expect)?;
            }
        }
        if under_way.is_empty() {
            return Ok(());
        }
        let chosen = usize::try_from(random.below(under_way.len() as u64)).unwrap_or(0);
        let Some(connection) = under_way.get_mut(chosen) else {
            return Ok(());
        };
        if let Some(step) = connection.steps.pop_front() {
            let path = if step.from_client {
                connection.path
            } else {
                connection.path.back()
            };
            out.wait_us(5 + random.below(20));
            out.tcp(path, step.segment, &step.payload)?;
        }
        if connection.steps.is_empty() {
            under_way.swap_remove(chosen);
        }
    }
}

/// Builds the steps of a connection, keeping both sides' sequence numbers.
struct Script {
    client: u32,
    server: u32,
    steps: VecDeque<Step>,
}

impl Script {
    fn segment(&mut self, from_client: bool, flags: u8, payload: &[u8]) {
        let (sequence, acknowledgment) = if from_client {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        };
        let segment = Segment {
            sequence,
            acknowledgment: if flags & ACK == 0 { 0 } else { acknowledgment },
            flags,
        };
        self.steps.push_back(Step {
            from_client,
            segment,
            payload: payload.to_vec(),
        });
        let taken = u32::try_from(payload.len()).unwrap_or(0) + u32::from(flags & (SYN | FIN) != 0);
        if from_client {
            self.client = self.client.wrapping_add(taken);
        } else {
            self.server = self.server.wrapping_add(taken);
        }
    }

    fn data(&mut self, from_client: bool, bytes: &[u8]) {
        for part in bytes.chunks(SEGMENT_BYTES) {
            self.segment(from_client, ACK | 8, part);
        }
        self.segment(!from_client, ACK, &[]);
    }

    /// The last data segment comes a second time, long after the first; false if it does not, since one byte that
    /// comes again is a keep-alive probe.
    fn again(&mut self) -> bool {
        let last = self.steps.iter().rev().find(|step| !step.payload.is_empty());
        if let Some(step) = last.filter(|step| step.payload.len() > 1) {
            let repeated = Step {
                from_client: step.from_client,
                segment: step.segment,
                payload: step.payload.clone(),
            };
            self.steps.push_back(repeated);
            return true;
        }
        false
    }
}

fn connection(number: u64, random: &mut Random, expect: &mut Expect) -> Connection {
    let low = |value: u64| u8::try_from(value % 200).unwrap_or(0) + 1;
    let service = random.below(40);
    let path = Path {
        source: [10, 244, 1, low(random.below(30))],
        source_port: u16::try_from(number % 28_000).unwrap_or(0) + 32_768,
        destination: [10, 244, 2, low(service)],
        destination_port: 9080,
    };
    let mut script = Script {
        client: u32::try_from(random.next() & 0xffff_ffff).unwrap_or(0),
        server: u32::try_from(random.next() & 0xffff_ffff).unwrap_or(0),
        steps: VecDeque::new(),
    };
    expect.streams += 1;
    script.segment(true, SYN, &[]);
    if number.is_multiple_of(97) {
        script.segment(false, RST | ACK, &[]);
        expect.refused += 1;
    } else {
        script.segment(false, SYN | ACK, &[]);
        script.segment(true, ACK, &[]);
        if number.is_multiple_of(2) {
            http(&mut script, random, service, expect);
        } else {
            tls(&mut script, random, service, expect);
        }
        script.segment(true, FIN | ACK, &[]);
        script.segment(false, FIN | ACK, &[]);
        script.segment(true, ACK, &[]);
    }
    Connection {
        path,
        steps: script.steps,
    }
}

fn http(script: &mut Script, random: &mut Random, service: u64, expect: &mut Expect) {
    for exchange in 0..8 {
        let id = random.next();
        let request = format!(
            "GET /items/{exchange} HTTP/1.1\r\nhost: service-{service}.shop.svc.cluster.local:9080\r\nuser-agent: load\r\n\
             x-request-id: {id:016x}\r\naccept: */*\r\nx-forwarded-proto: http\r\n\r\n"
        );
        script.data(true, request.as_bytes());
        let code = if random.below(50) == 0 {
            "503 Service Unavailable"
        } else {
            "200 OK"
        };
        let length = usize::try_from(1_000 + random.below(4_000)).unwrap_or(0);
        let mut answer =
            format!("HTTP/1.1 {code}\r\nserver: istio-envoy\r\ncontent-length: {length}\r\n\r\n")
                .into_bytes();
        answer.resize(answer.len() + length, b'x');
        script.data(false, &answer);
        expect.http_requests += 1;
    }
}

fn tls(script: &mut Script, random: &mut Random, service: u64, expect: &mut Expect) {
    script.data(true, &client_hello(service, random));
    expect.client_hellos += 1;
    script.data(false, &server_flight(random));
    script.data(true, &application_data(80));
    for exchange in 0..8 {
        let request = usize::try_from(200 + random.below(400)).unwrap_or(0);
        script.data(true, &application_data(request));
        let answer = usize::try_from(1_000 + random.below(4_000)).unwrap_or(0);
        script.data(false, &application_data(answer));
        if exchange == 3 && random.below(10) == 0 {
            expect.retransmissions += u64::from(script.again());
        }
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    record.extend_from_slice(body);
    record
}

fn application_data(length: usize) -> Vec<u8> {
    record(23, &vec![0xa5; length])
}

fn with_length(width: usize, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    let mut whole = length.get(4 - width..).unwrap_or_default().to_vec();
    whole.extend_from_slice(body);
    whole
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut whole = kind.to_be_bytes().to_vec();
    whole.extend_from_slice(&with_length(2, body));
    whole
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&with_length(3, body));
    record(22, &message)
}

fn random_bytes(random: &mut Random) -> Vec<u8> {
    (0..4).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// RFC 8446 section 4.1.2, with the server name and protocols of mesh TLS.
fn client_hello(service: u64, random: &mut Random) -> Vec<u8> {
    let name = format!("outbound_.9080_._.service-{service}.shop.svc.cluster.local");
    let mut server_name = vec![0];
    server_name.extend_from_slice(&with_length(2, name.as_bytes()));
    let protocols: Vec<u8> = ["istio-h2", "istio", "h2"]
        .iter()
        .flat_map(|protocol| with_length(1, protocol.as_bytes()))
        .collect();
    let extensions = [
        extension(0, &with_length(2, &server_name)),
        extension(16, &with_length(2, &protocols)),
        extension(43, &with_length(1, &[3, 4, 3, 3])),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&random_bytes(random));
    body.extend_from_slice(&with_length(1, &random_bytes(random)));
    body.extend_from_slice(&with_length(2, &[0x13, 1, 0x13, 2, 0xc0, 0x2f]));
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&with_length(2, &extensions));
    handshake(1, &body)
}

/// Server hello of TLS 1.3, and the rest of the flight as it looks from outside.
fn server_flight(random: &mut Random) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&random_bytes(random));
    body.extend_from_slice(&with_length(1, &[]));
    body.extend_from_slice(&[0x13, 1, 0]);
    body.extend_from_slice(&with_length(2, &extension(43, &[3, 4])));
    [handshake(2, &body), record(20, &[1]), application_data(1_800)].concat()
}

fn question<W: Write>(
    number: u64,
    random: &mut Random,
    out: &mut CaptureWriter<W>,
    expect: &mut Expect,
) -> io::Result<()> {
    let path = Path {
        source: [10, 244, 1, 9],
        source_port: u16::try_from(number % 20_000).unwrap_or(0) + 10_000,
        destination: [10, 96, 0, 10],
        destination_port: 53,
    };
    let failed = random.below(20) == 0;
    let mut query = u16::try_from(number & 0xffff).unwrap_or(0).to_be_bytes().to_vec();
    query.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in [
        format!("service-{}", random.below(40)).as_str(),
        "shop",
        "svc",
        "cluster",
        "local",
    ] {
        query.extend_from_slice(&with_length(1, label.as_bytes()));
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    out.wait_us(20);
    out.udp(path, &query)?;
    let mut answer = query;
    if let Some(flags) = answer.get_mut(2..4) {
        flags.copy_from_slice(if failed { &[0x81, 0x83] } else { &[0x81, 0x80] });
    }
    if !failed {
        if let Some(answers) = answer.get_mut(7) {
            *answers = 1;
        }
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 244, 2, 7]);
    }
    out.wait_us(200);
    out.udp(path.back(), &answer)?;
    expect.dns_queries += 1;
    expect.name_errors += u64::from(failed);
    Ok(())
}
