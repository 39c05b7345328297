//! What packets say of who has which address: votes, which `correlate::names` settles together with those of logs.

use crate::aggregate::Merge;
use crate::aggregate::address::sni_service;
use crate::aggregate::bounded::Bounded;
use crate::aggregate::totals::Votes;
use crate::decode::packet::Endpoint;
use crate::streams::{DnsExchange, DnsOutcome, Side, StreamRecord, TlsFacts};
use std::fmt::{Display, Write as _};

/// Names kept of each sort.
pub const MAX_NAMES: usize = 8192;

/// Longest name that is believed (a DNS name has at most 253 characters).
const MAX_NAME_BYTES: usize = 255;

/// Votes by what told them.
#[derive(Clone, Debug)]
pub struct PacketNames {
    /// `ip:port` of a server to the service that clients ask for there, `host:port`: by the server name of mesh TLS.
    pub mesh_services: Bounded<String, Votes>,
    /// `ip:port` of a server to the name that clients call it: server name of TLS, Host header.
    pub hosts: Bounded<String, Votes>,
    /// Address to the name whose DNS answer held it.
    pub dns: Bounded<String, Votes>,
    /// Address to the SPIFFE identity in its certificate.
    pub identities: Bounded<String, Votes>,
    keys: Keys,
}

impl Default for PacketNames {
    fn default() -> Self {
        Self {
            mesh_services: Bounded::new(MAX_NAMES),
            hosts: Bounded::new(MAX_NAMES),
            dns: Bounded::new(MAX_NAMES),
            identities: Bounded::new(MAX_NAMES),
            keys: Keys::default(),
        }
    }
}

impl PacketNames {
    /// What a connection tells.
    pub fn stream(&mut self, record: &StreamRecord) {
        if let Some(tls) = &record.application.tls {
            self.hello(record.server, tls);
            self.certificates(record, tls);
        }
        // A port of a proxy stands for whatever is called through it, and loopback is in every pod.
        let http = record.application.http.as_ref();
        if let Some(host) = http.and_then(|http| http.host.as_deref())
            && names_server(record.server)
        {
            self.host(record.server, host);
        }
    }

    fn hello(&mut self, server: Endpoint, tls: &TlsFacts) {
        let Some(sni) = &tls.sni else { return };
        if let Some((host, port)) = sni_service(sni) {
            // At an east-west gateway it is the service behind it.
            if server.port != 15_443 {
                self.keys
                    .vote(&mut self.mesh_services, &server, &format_args!("{host}:{port}"));
            }
        } else if names_server(server) {
            self.host(server, sni);
        }
    }

    /// A name of the server, with its port: of a Host header its own, else the server's.
    fn host(&mut self, server: Endpoint, host: &str) {
        if crate::aggregate::address::port(host).is_some() {
            self.keys.vote(&mut self.hosts, &server, &host);
        } else {
            let name = format_args!("{host}:{}", server.port);
            self.keys.vote(&mut self.hosts, &server, &name);
        }
    }

    fn certificates(&mut self, record: &StreamRecord, tls: &TlsFacts) {
        for (side, certificate) in tls.certificates.iter().filter(|(_, c)| c.leaf) {
            let address = match side {
                Side::Client => record.client.address,
                Side::Server => record.server.address,
            };
            let spiffe = certificate.san.iter().find(|name| name.starts_with("spiffe://"));
            if let Some(identity) = spiffe.filter(|_| !address.is_loopback()) {
                self.keys.vote(&mut self.identities, &address, identity);
            }
        }
    }

    /// What a DNS answer tells.
    pub fn dns(&mut self, exchange: &DnsExchange) {
        if !matches!(
            exchange.outcome,
            DnsOutcome::Answered(0) | DnsOutcome::AnswerOnly(0)
        ) {
            return;
        }
        for address in exchange.addresses.iter().filter(|a| !a.is_loopback()) {
            self.keys.vote(&mut self.dns, address, &exchange.name);
        }
    }
}

fn names_server(server: Endpoint) -> bool {
    let proxy = (15_000..15_100).contains(&server.port) || server.port == 15_443;
    !proxy && !server.address.is_loopback()
}

/// Keys and names in the making. Nearly all votes are for a name that has some: they are counted without allocating.
#[derive(Clone, Debug, Default)]
struct Keys {
    key: String,
    name: String,
}

impl Keys {
    fn vote(&mut self, table: &mut Bounded<String, Votes>, key: &impl Display, name: &impl Display) {
        let Self {
            key: key_text,
            name: name_text,
        } = self;
        key_text.clear();
        name_text.clear();
        // Writing to a string does not fail.
        if write!(key_text, "{key}").is_err() || write!(name_text, "{name}").is_err() {
            return;
        }
        if name_text.is_empty() || name_text.len() > MAX_NAME_BYTES {
            return;
        }
        table.change_named(key_text, |votes| votes.add(name_text, 1));
    }
}

impl Merge for PacketNames {
    fn merge(&mut self, other: Self) {
        self.mesh_services.absorb(other.mesh_services);
        self.hosts.absorb(other.hosts);
        self.dns.absorb(other.dns);
        self.identities.absorb(other.identities);
    }
}
