//! Which mirrors are one: one of them sends its pings, tokens or layers to the other's host, or both do to
//! a third candidate's.
//!
//! A shared address is not enough, and neither is a shared host that is no candidate: a thousand unrelated
//! sites live behind one CDN.

use std::collections::HashMap;

use super::Candidate;

/// For each candidate the number of its backend: the smallest index of those that share it.
pub(super) fn backends(candidates: &[Candidate<'_>]) -> Vec<usize> {
    let mut by_host: HashMap<String, usize> = HashMap::with_capacity(2 * candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let url = &candidate.mirror.url;
        by_host.entry(url.authority().to_owned()).or_insert(index);
        by_host.entry(format!("{}:{}", url.host(), url.port())).or_insert(index);
    }
    let mut parents: Vec<usize> = (0..candidates.len()).collect();
    for (index, candidate) in candidates.iter().enumerate() {
        for host in candidate.record.sent_to() {
            if let Some(other) = by_host.get(host) {
                let (one, other) = (root(&mut parents, index), root(&mut parents, *other));
                parents[one.max(other)] = one.min(other);
            }
        }
    }
    (0..candidates.len()).map(|index| root(&mut parents, index)).collect()
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::{DOCKER_HUB, Mirror};
    use crate::observation::{Depth, Observation};
    use crate::ranking::Policy;
    use crate::ranking::record::Record;
    use crate::timestamp::Timestamp;

    /// Mirrors as `(URL, hosts that it sends to)`, and the number of each one's backend.
    #[track_caller]
    fn check(mirrors: &[(&str, &[&str])], expected: &[usize]) {
        let made: Vec<(Mirror, Record)> = mirrors
            .iter()
            .map(|(url, sent_to)| {
                let mut seen = Observation::new(Timestamp::default(), Depth::Rehearse);
                seen.sent_to.extend(sent_to.iter().map(|host| (*host).to_owned()));
                let mut record = Record::default();
                record.observe(&seen, &Policy::default());
                let url = url.parse().unwrap();
                let upstream = DOCKER_HUB.to_owned();
                let mirror =
                    Mirror { name: String::new(), url, upstream, group: None, enabled: true, note: None };
                (mirror, record)
            })
            .collect();
        let candidates: Vec<Candidate<'_>> =
            made.iter().map(|(mirror, record)| Candidate { mirror, record }).collect();
        assert_eq!(backends(&candidates), expected, "{mirrors:?}");
    }

    #[test]
    fn relatives() {
        check(&[("https://a", &[]), ("https://b", &[])], &[0, 1]);
        // One sends to the other, whichever stands first.
        check(&[("https://a", &["b"]), ("https://b", &[])], &[0, 0]);
        check(&[("https://a", &[]), ("https://b", &["a"])], &[0, 0]);
        // Both send to a third.
        check(&[("https://a", &["c"]), ("https://b", &["c"]), ("https://c", &[])], &[0, 0, 0]);
        // A chain is one.
        check(
            &[("https://a", &["b"]), ("https://b", &["c"]), ("https://c", &[]), ("https://d", &[])],
            &[0, 0, 0, 3],
        );
        // A host that is no candidate makes nobody a relative.
        check(&[("https://a", &["cdn"]), ("https://b", &["cdn"])], &[0, 1]);
        // Several mirrors on one host are told apart by their ports.
        check(&[("http://h:5001", &["h:5002"]), ("http://h:5002", &[]), ("http://h:5003", &[])], &[0, 0, 2]);
        // The port that goes without saying may be said.
        check(&[("https://a", &["b:443"]), ("https://b", &[])], &[0, 0]);
        check(&[("https://a", &["a"])], &[0]);
    }
}
