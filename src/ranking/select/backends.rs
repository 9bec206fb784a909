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
