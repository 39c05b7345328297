//! What saved configuration says, by the proxy that has it or the object that it is.
//!
//! Of each the first places are kept, with what stands there: the same object may have been saved before and after a change.

use super::bounded::{Bounded, Key};
use super::outputs::{self, FactKey, FactSum};
use super::signatures::example_text;
use super::{Merge, stable_hash, stable_hash_with};
use crate::decode::document::facts::{Cluster, Inbound, Object, Rejected, VirtualHost};
use crate::decode::document::{Said, Statement};
use crate::units::Place;
use std::collections::BTreeMap;

/// Clusters of proxies kept.
pub const MAX_CLUSTERS: usize = 8192;

/// Virtual hosts of proxies kept.
pub const MAX_VIRTUAL_HOSTS: usize = 4096;

/// Objects kept.
pub const MAX_OBJECTS: usize = 4096;

/// Proxies of which something else is kept.
pub const MAX_PROXIES: usize = 1024;

/// Format strings of access logs kept: a mesh has one, and one more for each provider of logs.
pub const MAX_FORMATS: usize = 16;

/// Places kept of one thing.
const PLACES: usize = 2;

/// Something of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProxyKey {
    /// The proxy: its pod, or `input:<path>`.
    pub proxy: String,
    /// Name of the cluster, of the table and its virtual host; of what a proxy has once, the proxy's.
    pub name: String,
}

impl ProxyKey {
    /// A proxy itself.
    fn of(proxy: &str) -> Self {
        Self {
            proxy: proxy.to_owned(),
            name: proxy.to_owned(),
        }
    }
}

impl Key for ProxyKey {
    type Lump = ();

    /// All clusters and virtual hosts of a host are kept or none.
    fn key_hash(&self) -> u64 {
        stable_hash(host_of(&self.name).as_bytes())
    }

    fn lump(&self) {}
}

/// The service in the name of a cluster or a virtual host: `outbound|80|v1|web.shop.svc.cluster.local`, `web.shop.svc.cluster.local:80`.
fn host_of(name: &str) -> &str {
    let last = name.rsplit(['|', '/']).next().unwrap_or(name);
    match last.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => last,
    }
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// `VirtualService`.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key for ObjectKey {
    type Lump = ();

    fn key_hash(&self) -> u64 {
        stable_hash_with(stable_hash(self.namespace.as_bytes()), self.name.as_bytes())
    }

    fn lump(&self) {}
}

/// What stands at the first places of a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T>(pub BTreeMap<Place, T>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Kept<T> {
    fn one(place: Place, value: T) -> Self {
        Self(BTreeMap::from([(place, value)]))
    }
}

impl<T> Merge for Kept<T> {
    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        while self.0.len() > PLACES {
            self.0.pop_last();
        }
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Clusters.
    pub clusters: Bounded<ProxyKey, Kept<Cluster>>,
    /// Virtual hosts; the name is that of the table, a slash, and its own.
    pub virtual_hosts: Bounded<ProxyKey, Kept<VirtualHost>>,
    /// What proxies take.
    pub inbound: Bounded<ProxyKey, Kept<Inbound>>,
    /// What proxies refused.
    pub rejected: Bounded<ProxyKey, Kept<Rejected>>,
    /// Objects.
    pub objects: Bounded<ObjectKey, Kept<Object>>,
    /// Proxies whose whole configuration was saved: what is not in it was not there.
    pub whole: Bounded<ProxyKey, u64>,
    /// Format strings of access logs, with where they stand.
    pub access_log_formats: Bounded<String, Kept<()>>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            clusters: Bounded::new(MAX_CLUSTERS),
            virtual_hosts: Bounded::new(MAX_VIRTUAL_HOSTS),
            inbound: Bounded::new(MAX_PROXIES),
            rejected: Bounded::new(MAX_PROXIES),
            objects: Bounded::new(MAX_OBJECTS),
            whole: Bounded::new(MAX_PROXIES),
            access_log_formats: Bounded::new(MAX_FORMATS),
        }
    }
}

impl Configuration {
    /// Adds all of another.
    pub fn absorb(&mut self, other: Self) {
        self.clusters.absorb(other.clusters);
        self.virtual_hosts.absorb(other.virtual_hosts);
        self.inbound.absorb(other.inbound);
        self.rejected.absorb(other.rejected);
        self.objects.absorb(other.objects);
        self.whole.absorb(other.whole);
        self.access_log_formats.absorb(other.access_log_formats);
    }

    /// True if nothing was kept.
    pub fn is_empty(&self) -> bool {
        self.clusters.len()
            + self.virtual_hosts.len()
            + self.inbound.len()
            + self.rejected.len()
            + self.objects.len()
            == 0
    }

    /// Notes that the whole configuration of a proxy was saved.
    pub fn add_whole(&mut self, proxy: &str) {
        let key = ProxyKey::of(proxy);
        self.whole.add(key, 1);
    }

    /// Whether the whole configuration of a proxy was saved, and all of it that `table` is about was kept.
    pub fn is_whole<V: Merge>(&self, proxy: &str, table: &Bounded<ProxyKey, V>) -> bool {
        let key = ProxyKey::of(proxy);
        !table.is_truncated() && self.whole.get(&key).is_some()
    }

    /// Adds a statement about `proxy`; what lines of other output say too is given back.
    pub fn add(&mut self, proxy: &str, said: Said, place: Place, line: &[u8]) -> Option<(FactKey, FactSum)> {
        let key = |name: String| ProxyKey {
            proxy: proxy.to_owned(),
            name,
        };
        match said.statement {
            Statement::Proxy(_) => {}
            Statement::AccessLogFormat(format) => self.access_log_formats.add(format, Kept::one(place, ())),
            Statement::Cluster(cluster) => {
                let key = key(cluster.name.clone());
                self.clusters.add(key, Kept::one(place, cluster));
            }
            Statement::VirtualHost(host) => {
                let key = key(format!("{}/{}", host.table, host.name));
                self.virtual_hosts.add(key, Kept::one(place, host));
            }
            Statement::Inbound(inbound) => self.inbound.add(ProxyKey::of(proxy), Kept::one(place, inbound)),
            Statement::Rejected(rejected) => {
                let key = key(rejected.name.clone());
                self.rejected.add(key, Kept::one(place, rejected));
            }
            Statement::Object(object) => {
                let key = ObjectKey {
                    kind: object.kind.clone(),
                    namespace: object.namespace.clone(),
                    name: object.name.clone(),
                };
                self.objects.add(key, Kept::one(place, object));
            }
            Statement::Message(fact, text) => return Some(outputs::summed(fact, place, text.as_bytes())),
            Statement::Fact(fact) => {
                let (mut key, sum) = outputs::summed(fact, place, example_text(line).as_bytes());
                key.belong_to(proxy);
                return Some((key, sum));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::document::Spot;
    use crate::decode::document::facts::Spec;
    use crate::units::InputId;
    use proptest::prelude::*;

    fn object(name: u16, host: u8) -> Said {
        Said {
            line: Spot::default(),
            statement: Statement::Object(Object {
                kind: "ServiceEntry".to_owned(),
                namespace: "shop".to_owned(),
                name: name.to_string(),
                labels: BTreeMap::new(),
                spec: Spec::ServiceEntry {
                    hosts: vec![host.to_string()],
                    resolution: "DNS".to_owned(),
                    endpoints: 0,
                },
            }),
        }
    }

    fn place(input: u32) -> Place {
        Place {
            input: InputId(input),
            offset_bytes: 0,
            block: 0,
            line_in_block: 0,
        }
    }

    fn of(objects: &[(u32, u16, u8)]) -> Configuration {
        let mut sum = Configuration::default();
        for (input, name, host) in objects {
            sum.add("web", object(*name, *host), place(*input), b"");
        }
        sum
    }

    fn kept(sum: &Configuration) -> Vec<(ObjectKey, Kept<Object>)> {
        let kept = sum.objects.iter();
        kept.map(|(key, kept)| (key.clone(), kept.clone())).collect()
    }

    proptest! {
        #[test]
        fn any_order_and_split_gives_the_same(
            mut objects in prop::collection::btree_map((0..9_u32, 0..20_u16), any::<u8>(), 0..60),
            at in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let list: Vec<(u32, u16, u8)> = std::mem::take(&mut objects)
                .into_iter()
                .map(|((input, name), host)| (input, name, host))
                .collect();
            let whole = kept(&of(&list));
            let mut shuffled = list.clone();
            shuffled.sort_by_key(|(input, name, _)| stable_hash_with(seed, format!("{input} {name}").as_bytes()));
            let (first, second) = shuffled.split_at(if list.is_empty() { 0 } else { at.index(list.len()) });
            let mut sum = of(second);
            sum.absorb(of(first));
            prop_assert_eq!(kept(&sum), whole);
        }
    }

    #[test]
    fn the_bound_keeps_the_same_whatever_the_order() {
        let all: Vec<(u32, u16, u8)> = (0..6000).map(|name| (0, name, 0)).collect();
        let (first, second) = all.split_at(1234);
        let mut forth = of(first);
        forth.absorb(of(second));
        let mut back = of(second);
        back.absorb(of(first));
        assert!(forth.objects.is_truncated() && forth.objects.len() <= MAX_OBJECTS);
        assert_eq!(kept(&forth), kept(&back));
        assert_eq!(kept(&forth), kept(&of(&all)));
    }

    #[test]
    fn all_of_one_host_are_kept_or_none() {
        for name in [
            "outbound|80|v1|web.shop.svc.cluster.local",
            "outbound|81||web.shop.svc.cluster.local",
            "80/web.shop.svc.cluster.local:80",
        ] {
            assert_eq!(host_of(name), "web.shop.svc.cluster.local", "{name}");
        }
    }
}
