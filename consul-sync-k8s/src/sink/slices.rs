//! How endpoints are shared out to EndpointSlices, without a memory of how they were before.
//!
//! An API server has to send a whole slice to every node when one endpoint of it changes, so slices are small, and a
//! change should touch one of them. Kubernetes' own controller looks at the slices that there are and fills the gaps.
//! Here the sharing out is a function of the endpoints alone: they are leaves of a binary tree, along the bits of a
//! digest of their addresses, and a branch becomes one slice as soon as it holds no more than [`MOST`].
//!
//! | change | slices written |
//! | --- | --- |
//! | an endpoint changes its state | one |
//! | one comes | one; or, when that is full, its two halves are created and it is deleted |
//! | one goes | one; or, when two halves fit into one again, that is created and they are deleted |
//! | a restart | none |
//!
//! Slices are half to full on the average of 70 %, as in any such tree. What was chosen so that its digests are equal
//! is cut into pieces of [`MOST`] in the order of the addresses.

use std::net::IpAddr;

use crate::digest;

/// The most endpoints in one slice. Kubernetes' own controller has the same limit.
pub(crate) const MOST: usize = 100;

/// An address, and whether it takes traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// `conditions.ready`, and `conditions.serving` with it.
    pub ready: bool,
}

/// What becomes one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// The way to it through the tree: a `0` or a `1` for each branch, empty for the root.
    pub(crate) path: String,
    /// Its endpoints, by address.
    pub(crate) endpoints: Vec<Endpoint>,
}

/// Shares endpoints out, each address once. Cost: O(n log n).
pub(crate) fn leaves(endpoints: impl IntoIterator<Item = Endpoint>) -> Vec<Leaf> {
    let mut all: Vec<(u64, Endpoint)> = endpoints
        .into_iter()
        .map(|endpoint| (place(endpoint.address), endpoint))
        .collect();
    all.sort_unstable();
    let mut leaves = Vec::new();
    share(&all, String::new(), &mut leaves);
    leaves
}

fn place(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(ip) => digest::hash(&ip.octets()),
        IpAddr::V6(ip) => digest::hash(&ip.octets()),
    }
}

fn share(branch: &[(u64, Endpoint)], path: String, leaves: &mut Vec<Leaf>) {
    let Some(bit) = 63_usize.checked_sub(path.len()) else {
        for (piece, endpoints) in branch.chunks(MOST).enumerate() {
            leaves.push(leaf(format!("{path}.{piece}"), endpoints));
        }
        return;
    };
    if branch.len() <= MOST {
        if !branch.is_empty() {
            leaves.push(leaf(path, branch));
        }
        return;
    }
    // Sorted by digest, a branch is in two pieces: those whose next bit is 0, and the others.
    let ones = branch.partition_point(|(place, _)| place >> bit & 1 == 0);
    let (low, high) = branch.split_at(ones);
    share(low, format!("{path}0"), leaves);
    share(high, format!("{path}1"), leaves);
}

fn leaf(path: String, endpoints: &[(u64, Endpoint)]) -> Leaf {
    let mut endpoints: Vec<Endpoint> = endpoints.iter().map(|(_, endpoint)| *endpoint).collect();
    endpoints.sort_unstable();
    Leaf { path, endpoints }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        net::Ipv4Addr,
    };

    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn endpoint(at: u32) -> Endpoint {
        Endpoint {
            address: Ipv4Addr::from(0x0a00_0000 + at).into(),
            ready: true,
        }
    }

    fn by_path(endpoints: impl IntoIterator<Item = Endpoint>) -> BTreeMap<String, Vec<Endpoint>> {
        let leaves = leaves(endpoints).into_iter();
        leaves.map(|leaf| (leaf.path, leaf.endpoints)).collect()
    }

    /// Paths that are only in one, and paths of other content.
    fn touched(
        one: &BTreeMap<String, Vec<Endpoint>>,
        other: &BTreeMap<String, Vec<Endpoint>>,
    ) -> (usize, usize) {
        let gone = one.keys().filter(|path| !other.contains_key(*path)).count();
        let changed = one
            .iter()
            .filter(|(path, held)| other.get(*path).is_some_and(|now| now != *held));
        (gone, changed.count())
    }

    #[test]
    fn nothing_is_no_slice_and_a_hundred_are_one() {
        assert!(leaves([]).is_empty());
        assert_eq!(by_path((0..100).map(endpoint)).len(), 1);
        assert_eq!(by_path((0..101).map(endpoint)).len(), 2);
    }

    #[test]
    fn ten_thousand_endpoints_are_no_more_than_two_hundred_slices() {
        let slices = by_path((0..10_000).map(endpoint));
        assert!((100..=200).contains(&slices.len()), "{}", slices.len());
        let mut changed: Vec<Endpoint> = (0..10_000).map(endpoint).collect();
        changed[4_711].ready = false;
        assert_eq!(touched(&slices, &by_path(changed)), (0, 1));
    }

    #[test]
    fn digests_that_are_equal_on_purpose_are_cut_in_pieces() {
        let same: Vec<(u64, Endpoint)> = (0..250).map(|at| (7, endpoint(at))).collect();
        let mut leaves = Vec::new();
        share(&same, String::new(), &mut leaves);
        let sizes: Vec<usize> = leaves.iter().map(|leaf| leaf.endpoints.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        let paths: BTreeSet<_> = leaves.iter().map(|leaf| &leaf.path).collect();
        assert_eq!(paths.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_endpoint_is_in_one_slice_and_no_slice_is_too_large(set in btree_set(0..5_000_u32, 0..1_000)) {
            let slices = leaves(set.iter().copied().map(endpoint));
            let mut all: Vec<Endpoint> = slices.iter().flat_map(|leaf| leaf.endpoints.clone()).collect();
            prop_assert!(slices.iter().all(|leaf| !leaf.endpoints.is_empty() && leaf.endpoints.len() <= MOST));
            prop_assert!(slices.iter().all(|leaf| leaf.endpoints.is_sorted()));
            all.sort_unstable();
            prop_assert_eq!(all, set.iter().copied().map(endpoint).collect::<Vec<_>>());
        }

        #[test]
        fn one_endpoint_more_changes_one_slice_or_splits_one(set in btree_set(0..5_000_u32, 0..600), one in 0..5_000_u32) {
            prop_assume!(!set.contains(&one));
            let before = by_path(set.iter().copied().map(endpoint));
            let after = by_path(set.iter().copied().chain([one]).map(endpoint));
            let (gone, changed) = touched(&before, &after);
            prop_assert!(gone + changed <= 1, "{gone} gone, {changed} changed");
            if let Some((path, held)) = before.iter().find(|(path, _)| !after.contains_key(*path)) {
                // What was split stands below it, and nothing else is new.
                prop_assert_eq!(held.len(), MOST);
                let new: Vec<_> = after.iter().filter(|(new, _)| !before.contains_key(*new)).collect();
                prop_assert!(new.iter().all(|(new, _)| new.starts_with(path.as_str())));
                prop_assert_eq!(new.iter().map(|(_, held)| held.len()).sum::<usize>(), MOST + 1);
            }
        }

        #[test]
        fn the_order_has_no_meaning(set in btree_set(0..5_000_u32, 0..400)) {
            let forwards = leaves(set.iter().copied().map(endpoint));
            prop_assert_eq!(forwards, leaves(set.iter().rev().copied().map(endpoint)));
        }
    }
}
