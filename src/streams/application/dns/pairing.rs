//! Queries with their answers.

use super::message::Message;
use crate::decode::packet::{Endpoint, Packet};
use crate::streams::CapturePoint;
use crate::streams::application::{Moment, elapsed_ns};
use crate::streams::record::{DnsExchange, DnsOutcome};
use rapidhash::v3::rapidhash_v3;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Queries that wait at once. A query beyond that pushes out the oldest, which is then taken for unanswered.
pub const MAX_PENDING_DNS: usize = 1024;
/// Answered queries that are remembered, to tell an answer that is seen again from one without a query.
const MAX_ANSWERED: usize = 256;
/// How long a query waits for its answer, by packet times: stub resolvers give up after 5 s and as many tries as they
/// are told to, at most 30 s (`resolv.conf(5)`).
const TIMEOUT_NS: i64 = 30_000_000_000;
/// The same bytes on another interface within this time are a second sight of one packet.
const SECOND_SIGHT_NS: u64 = 1_000_000;

/// Ports of DNS: the standard's, and that of Istio's DNS proxy.
const PORTS: [u16; 2] = [53, 15053];
/// Ports of what has the format of DNS and is something else: `NetBIOS` names, mDNS, LLMNR.
const OTHER_PORTS: [u16; 3] = [137, 5353, 5355];

/// True if a port says DNS.
pub(in crate::streams::application) fn is_dns_port(port: u16) -> bool {
    PORTS.contains(&port)
}

/// Messages, whether or not they could be paired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsCounts {
    /// Queries.
    pub queries: u64,
    /// Answers by response code.
    pub answers_by_code: BTreeMap<u8, u64>,
    /// Answers that were cut (TC).
    pub truncated_answers: u64,
    /// Messages seen a second time, on another interface; counted above too.
    pub second_sights: u64,
    /// Answers to a query that was answered before.
    pub repeated_answers: u64,
    /// Queries that were given up for want of room.
    pub pushed_out: u64,
}

/// Pairs queries and answers of one capture point, or of a part of it that holds both directions.
#[derive(Debug)]
pub struct DnsPairing {
    point: CapturePoint,
    tcp: bool,
    limit: usize,
    table: HashMap<Key, Entry>,
    /// Queries in the order in which they came; one whose number is no longer in the table, or answered, is over.
    waiting: VecDeque<(Key, u64)>,
    /// How many of `waiting` still wait.
    unanswered: usize,
    /// Answered queries in the order of their answers.
    answered: VecDeque<(Key, u64)>,
    number: u64,
    counts: DnsCounts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: Endpoint,
    server: Endpoint,
    id: u16,
    record_type: u16,
    /// Hash of the name: what else is equal makes a collision harmless.
    name: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Until it is answered.
    exchange: Option<Box<DnsExchange>>,
    query: Sight,
    answer: Option<Sight>,
}

/// When and on which interface a message was seen.
#[derive(Clone, Copy, Debug)]
struct Sight {
    moment: Moment,
    interface: u32,
}

impl Sight {
    /// True if `self` is the packet of `earlier`, seen again.
    fn repeats(self, earlier: Self) -> bool {
        self.interface != earlier.interface
            && elapsed_ns(earlier.moment.0, self.moment.0).is_some_and(|ns| ns <= SECOND_SIGHT_NS)
    }
}

impl DnsPairing {
    /// For DNS over UDP.
    pub fn new(point: CapturePoint) -> Self {
        Self::with(point, false, MAX_PENDING_DNS)
    }

    /// For DNS over one TCP connection.
    pub(super) fn of_connection(point: CapturePoint, limit: usize) -> Self {
        Self::with(point, true, limit)
    }

    fn with(point: CapturePoint, tcp: bool, limit: usize) -> Self {
        Self {
            point,
            tcp,
            limit,
            table: HashMap::new(),
            waiting: VecDeque::new(),
            unanswered: 0,
            answered: VecDeque::new(),
            number: 0,
            counts: DnsCounts::default(),
        }
    }

    /// Messages so far.
    pub fn counts(&self) -> &DnsCounts {
        &self.counts
    }

    /// A UDP packet, whether or not it is DNS. Exchanges that are over go to `sink`.
    pub fn udp(&mut self, packet: &Packet, payload: &[u8], sink: impl FnMut(DnsExchange)) {
        let ports = [packet.source.port, packet.destination.port];
        if ports.iter().any(|port| OTHER_PORTS.contains(port)) {
            return;
        }
        let message = if ports.into_iter().any(is_dns_port) {
            Message::read(payload)
        } else {
            Message::read_unhinted(payload)
        };
        if let Some(message) = message {
            let sight = Sight {
                moment: (packet.time, packet.at),
                interface: packet.interface,
            };
            self.seen(message, packet.source, packet.destination, sight, sink);
        }
    }

    /// A message of a TCP connection.
    pub(super) fn tcp(
        &mut self,
        message: Message,
        from: Endpoint,
        to: Endpoint,
        moment: Moment,
        sink: impl FnMut(DnsExchange),
    ) {
        self.seen(message, from, to, Sight { moment, interface: 0 }, sink);
    }

    /// The capture is over: what still waits stays unanswered.
    pub fn finish(mut self, mut sink: impl FnMut(DnsExchange)) {
        while self.give_up_oldest(&mut sink) {}
    }

    fn seen(
        &mut self,
        message: Message,
        from: Endpoint,
        to: Endpoint,
        sight: Sight,
        mut sink: impl FnMut(DnsExchange),
    ) {
        self.expire(sight.moment, &mut sink);
        let (client, server) = if message.answer { (to, from) } else { (from, to) };
        let key = Key {
            client,
            server,
            id: message.id,
            record_type: message.record_type,
            name: rapidhash_v3(message.name.as_bytes()),
        };
        if message.answer {
            self.answer(key, message, sight, &mut sink);
        } else {
            self.query(key, message, sight, &mut sink);
        }
    }

    fn query(&mut self, key: Key, message: Message, sight: Sight, sink: &mut impl FnMut(DnsExchange)) {
        self.counts.queries += 1;
        if let Some(entry) = self.table.get_mut(&key) {
            if sight.repeats(entry.query) {
                self.counts.second_sights += 1;
                return;
            }
            if let Some(exchange) = &mut entry.exchange {
                exchange.retries += 1;
                entry.query = sight;
                return;
            }
        }
        let exchange = self.exchange(key, message, sight, DnsOutcome::Unanswered);
        self.insert(key, Some(Box::new(exchange)), sight, None);
        self.waiting.push_back((key, self.number));
        self.unanswered += 1;
        if self.unanswered > self.limit && self.give_up_oldest(sink) {
            self.counts.pushed_out += 1;
        }
        if self.waiting.len() > 2 * self.limit {
            let table = &self.table;
            self.waiting.retain(|(key, number)| waits(table, *key, *number));
        }
    }

    fn answer(&mut self, key: Key, message: Message, sight: Sight, sink: &mut impl FnMut(DnsExchange)) {
        *self
            .counts
            .answers_by_code
            .entry(message.response_code)
            .or_default() += 1;
        self.counts.truncated_answers += u64::from(message.truncated);
        let key = if message.name.is_empty() {
            self.without_question(key)
        } else {
            key
        };
        let Some(entry) = self.table.get_mut(&key) else {
            let outcome = DnsOutcome::AnswerOnly(message.response_code);
            let exchange = self.exchange(key, message, sight, outcome);
            self.insert(key, None, sight, Some(sight));
            self.remember_answered(key);
            sink(exchange);
            return;
        };
        let Some(mut exchange) = entry.exchange.take() else {
            let again = entry.answer.is_some_and(|earlier| sight.repeats(earlier));
            self.counts.second_sights += u64::from(again);
            self.counts.repeated_answers += u64::from(!again);
            return;
        };
        entry.answer = Some(sight);
        exchange.outcome = DnsOutcome::Answered(message.response_code);
        exchange.response = Some(sight.moment);
        exchange.truncated_answer = message.truncated;
        exchange.addresses = message.addresses;
        self.unanswered -= 1;
        self.remember_answered(key);
        sink(*exchange);
    }

    /// The query of an answer that does not repeat the question, as some servers refuse: the oldest with its number.
    fn without_question(&self, key: Key) -> Key {
        self.waiting
            .iter()
            .find(|(query, number)| {
                (query.client, query.server, query.id) == (key.client, key.server, key.id)
                    && waits(&self.table, *query, *number)
            })
            .map_or(key, |(query, _)| *query)
    }

    fn exchange(&self, key: Key, message: Message, sight: Sight, outcome: DnsOutcome) -> DnsExchange {
        DnsExchange {
            point: self.point,
            client: key.client,
            server: key.server,
            name: message.name,
            record_type: message.record_type,
            query: sight.moment,
            retries: 0,
            outcome,
            response: message.answer.then_some(sight.moment),
            addresses: message.addresses,
            tcp: self.tcp,
            truncated_answer: message.answer && message.truncated,
        }
    }

    fn insert(&mut self, key: Key, exchange: Option<Box<DnsExchange>>, query: Sight, answer: Option<Sight>) {
        self.number += 1;
        let entry = Entry {
            number: self.number,
            exchange,
            query,
            answer,
        };
        self.table.insert(key, entry);
    }

    fn remember_answered(&mut self, key: Key) {
        let number = self.table.get(&key).map_or(0, |entry| entry.number);
        self.answered.push_back((key, number));
        if self.answered.len() > MAX_ANSWERED
            && let Some((key, number)) = self.answered.pop_front()
            && self.table.get(&key).is_some_and(|entry| entry.number == number)
        {
            self.table.remove(&key);
        }
    }

    /// Gives up queries that have waited too long.
    fn expire(&mut self, (now, _): Moment, sink: &mut impl FnMut(DnsExchange)) {
        let Some(now) = now else {
            return;
        };
        while let Some((key, number)) = self.waiting.front() {
            let entry = self.table.get(key).filter(|entry| entry.number == *number);
            match entry.and_then(|entry| entry.exchange.as_ref().map(|_| entry.query.moment.0)) {
                // Answered, or asked anew after that.
                None => {
                    self.waiting.pop_front();
                }
                Some(Some(asked)) if now.0.saturating_sub(asked.0) > TIMEOUT_NS => {
                    self.give_up_oldest(sink);
                }
                Some(_) => return,
            }
        }
    }

    /// Takes the oldest query that waits for unanswered. False if none waits.
    fn give_up_oldest(&mut self, sink: &mut impl FnMut(DnsExchange)) -> bool {
        while let Some((key, number)) = self.waiting.pop_front() {
            if waits(&self.table, key, number)
                && let Some(exchange) = self.table.remove(&key).and_then(|entry| entry.exchange)
            {
                self.unanswered -= 1;
                sink(*exchange);
                return true;
            }
        }
        false
    }
}

fn waits(table: &HashMap<Key, Entry>, key: Key, number: u64) -> bool {
    table
        .get(&key)
        .is_some_and(|entry| entry.number == number && entry.exchange.is_some())
}
