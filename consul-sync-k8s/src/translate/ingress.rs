//! The addresses at which Ingresses serve a Service.

use std::{collections::BTreeMap, sync::Arc};

use consul_sync_core::Address;

use crate::{ExportSettings, slim::IngressBody};

/// Where the rules for a Service are served: each address once, `true` when over TLS.
///
/// A rule of every host, or of a wildcard, has no host that could be registered. An Ingress whose balancer has no
/// IP address (yet) has none either. A Service that is left without any keeps the addresses of its own.
pub(super) fn addresses(
    settings: &ExportSettings,
    service: &str,
    ingresses: &[&IngressBody],
) -> BTreeMap<Address, bool> {
    let mut found = BTreeMap::new();
    for ingress in ingresses {
        for rule in ingress
            .rules
            .iter()
            .filter(|rule| rule.service.as_ref() == service)
        {
            let mut add = |address| *found.entry(address).or_insert(false) |= rule.tls;
            if settings.ingress_load_balancer_ips {
                ingress.load_balancer_ips.iter().cloned().for_each(&mut add);
            } else if !rule.host.is_empty() && !rule.host.contains('*') {
                add(Address::Host(Arc::clone(&rule.host)));
            }
        }
    }
    found
}
