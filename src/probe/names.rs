//! Names into addresses, without a thread each and without waiting for those that hang.
//!
//! dockerd asks the hosts file and then DNS. So does this; `getaddrinfo` would know a few more sources,
//! but cannot be cancelled: 200 names that hang are 200 threads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver, lookup::Lookup};
use tokio::time::{Instant, sleep_until};

use super::wrong::{Try, Wrong};
use crate::reason::FailureKind;

/// How long a name may take. dockerd would wait 10 to 20 seconds, in every pull, even for the last mirror
/// of its list; a name that is so slow is as good as none.
pub(super) const CAP: Duration = Duration::from_secs(2);

/// How long one family is waited for when the other has answered; beyond RFC 8305's 50 ms, because some
/// servers never answer AAAA and some answer it late.
const OTHER_FAMILY: Duration = Duration::from_millis(300);

/// resolv.conf names at most three servers (MAXNS of resolv.h); all are asked at once, since the second would
/// come too late within [`CAP`].
const SERVERS_AT_ONCE: usize = 3;

/// Open files that one name may take: a query for each family to each of them.
pub(super) const FILES: usize = 2 * SERVERS_AT_ONCE;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";

/// The resolver, which follows the system's files as they change.
pub(super) struct Names {
    fixed: Option<Vec<SocketAddr>>,
    current: Mutex<Option<(Stamp, Arc<Source>)>>,
}

/// The files as they were when they were read.
#[derive(Clone, PartialEq, Eq)]
struct Stamp([Option<(u64, u64, i64, i64)>; 2]);

struct Source {
    resolver: TokioResolver,
    hosts: Hosts,
}

impl Names {
    /// Asks `nameservers`, or those of the system.
    pub(super) fn new(nameservers: Option<Vec<SocketAddr>>) -> Self {
        Self { fixed: nameservers, current: Mutex::new(None) }
    }

    /// The addresses of `host`, IPv6 first; an address is its own.
    ///
    /// # Errors
    ///
    /// `name_not_resolved`, with whether there is no such name or nobody said by `end` or within [`CAP`].
    pub(super) async fn resolve(&self, host: &str, end: Instant) -> Try<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        // RFC 6761: localhost is this host, whatever a name server says.
        if host == "localhost" {
            return Ok(vec![IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        }
        let no = |why: &str| Wrong::new(FailureKind::NameNotResolved, format!("{host}: {why}"));
        let name = Name::from_ascii(host).map_err(|_| no("not a name"))?;
        let source = self.source().map_err(|error| no(&error.to_string()))?;
        if let Some(known) = source.in_hosts_file(&name) {
            return Ok(known);
        }
        let found = source.ask(&name, end.min(Instant::now() + CAP)).await;
        if found.addresses.is_empty() { Err(no(&found.why_not())) } else { Ok(found.addresses) }
    }

    fn source(&self) -> Result<Arc<Source>, NetError> {
        let stamp = Stamp::now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, source)) = &*current
            && *known == stamp
        {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(Source::new(self.fixed.as_deref())?);
        *current = Some((stamp, Arc::clone(&source)));
        Ok(source)
    }
}

impl Stamp {
    /// A laptop changes networks and a VPN comes up while the service runs; two `stat` calls notice.
    fn now() -> Self {
        Self([RESOLV_CONF, HOSTS].map(|path| {
            let file = std::fs::metadata(path).ok()?;
            Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
        }))
    }
}

impl Source {
    fn new(fixed: Option<&[SocketAddr]>) -> Result<Self, NetError> {
        let (config, mut options) = match fixed {
            Some(servers) => (fixed_config(servers), ResolverOpts::default()),
            // As Go and glibc do without a file: the server of this host.
            None => read_system_conf().unwrap_or_else(|_| {
                let here = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
                (ResolverConfig::from_name_servers(vec![here]), ResolverOpts::default())
            }),
        };
        options.timeout = CAP;
        options.attempts = 0;
        options.num_concurrent_reqs = SERVERS_AT_ONCE;
        // Fresh each time: what a cache remembers is not what dockerd would hear.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Ok(Self { resolver: builder.build()?, hosts: Hosts::from_system().unwrap_or_default() })
    }

    /// A name in the hosts file is not asked of DNS, not even for the family that the file lacks.
    fn in_hosts_file(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let found: Vec<IpAddr> = [RecordType::AAAA, RecordType::A]
            .into_iter()
            .filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)))
            .flat_map(|lookup| addresses(&lookup))
            .collect();
        if found.is_empty() { None } else { Some(found) }
    }

    async fn ask(&self, name: &Name, end: Instant) -> Found {
        let six = self.resolver.lookup(name.clone(), RecordType::AAAA);
        let four = self.resolver.lookup(name.clone(), RecordType::A);
        tokio::pin!(six, four);
        let (mut said_six, mut said_four) = (None, None);
        let mut patience = end;
        while said_six.is_none() || said_four.is_none() {
            let said = tokio::select! {
                said = &mut six, if said_six.is_none() => said_six.insert(said),
                said = &mut four, if said_four.is_none() => said_four.insert(said),
                () = sleep_until(patience) => break,
            };
            if said.is_ok() {
                patience = end.min(Instant::now() + OTHER_FAMILY);
            }
        }
        let mut found = Found { addresses: Vec::new(), error: None, silent: said_four.is_none() };
        for said in [said_six, said_four].into_iter().flatten() {
            match said {
                Ok(lookup) => found.addresses.extend(addresses(&lookup)),
                Err(error) => found.error = Some(error),
            }
        }
        found
    }
}

struct Found {
    addresses: Vec<IpAddr>,
    error: Option<NetError>,
    silent: bool,
}

impl Found {
    fn why_not(&self) -> String {
        match &self.error {
            error if self.silent || matches!(error, Some(NetError::Timeout)) => {
                format!("no name server answered within {} s", CAP.as_secs())
            }
            Some(error) if error.is_nx_domain() => "no such name".to_owned(),
            Some(error) if !error.is_no_records_found() => error.to_string(),
            Some(_) | None => "the name has no address".to_owned(),
        }
    }
}

fn addresses(lookup: &Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn fixed_config(servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|server| {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut config.connections {
            connection.port = server.port();
        }
        config
    });
    ResolverConfig::from_name_servers(servers.collect())
}
