//! Which addresses an endpoint may have (fault N11).
//!
//! Whoever may register an instance in Consul chooses the address that the cluster's proxies and gateways then send traffic
//! to, with the rights of the cluster's network and not with their own (CVE-2021-25740).
//!
//! | address | is it written? |
//! | --- | --- |
//! | unspecified, loopback, link-local, multicast, broadcast | never: it means another host to everyone |
//! | where clouds answer with a machine's credentials | never |
//! | in one of [`ImportSettings::refused_networks`](super::ImportSettings::refused_networks) | no |
//! | a host name | no: endpoints have IP addresses |
//!
//! A Service of type ExternalName has no address: what stands behind it is what Consul's DNS answers.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use consul_sync_core::Address;
use ipnet::IpNet;

/// Where clouds answer with a machine's credentials, beside link-local addresses: Alibaba, Azure; AWS, Google, Oracle.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// Why an address is none that an endpoint may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    Host,
    Everywhere,
    Metadata,
    Refused(IpNet),
}

/// The address of an endpoint, as Kubernetes writes it.
///
/// # Errors
/// It may not be one.
pub(super) fn usable(address: &Address, refused: &[IpNet]) -> Result<IpAddr, Unusable> {
    let Address::Ip(ip) = address else {
        return Err(Unusable::Host);
    };
    let ip = ip.to_canonical();
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_link_local {
        return Err(Unusable::Everywhere);
    }
    if METADATA.contains(&ip) {
        return Err(Unusable::Metadata);
    }
    match refused.iter().find(|network| network.contains(&ip)) {
        Some(network) => Err(Unusable::Refused(*network)),
        None => Ok(ip),
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str(
                "is a host name, and endpoints have IP addresses; use mode external-name, or register an address",
            ),
            Self::Everywhere => f.write_str(
                "is an address that means another host to everyone, which no endpoint may have",
            ),
            Self::Metadata => {
                f.write_str("is where a cloud hands out credentials, which no endpoint may have")
            }
            Self::Refused(network) => write!(
                f,
                "is in {network}, of which no address is imported here; register another address, or take the network \
                 off the refused ones"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str, refused: &[&str]) -> Result<IpAddr, Unusable> {
        let refused: Vec<IpNet> = refused.iter().map(|text| text.parse().unwrap()).collect();
        let address = match address.parse() {
            Ok(ip) => Address::Ip(ip),
            Err(_) => Address::Host(address.into()),
        };
        usable(&address, &refused)
    }

    #[test]
    fn fault_n11_addresses_that_hand_out_credentials_are_never_endpoints() {
        for address in [
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
        ] {
            assert_eq!(judged(address, &[]), Err(Unusable::Metadata), "{address}");
        }
        // Of the link-local ones it is known without a list.
        assert_eq!(judged("169.254.169.254", &[]), Err(Unusable::Everywhere));
        assert_eq!(judged("169.254.170.2", &[]), Err(Unusable::Everywhere));
    }

    #[test]
    fn fault_n11_addresses_of_refused_networks_are_no_endpoints_however_they_are_written() {
        let cluster = ["10.96.0.0/12", "fd10:96::/108"];
        for (address, network) in [
            ("10.96.0.1", cluster[0]),
            ("10.111.255.255", cluster[0]),
            ("::ffff:10.96.0.1", cluster[0]),
            ("fd10:96::1", cluster[1]),
        ] {
            let network = network.parse().unwrap();
            assert_eq!(
                judged(address, &cluster),
                Err(Unusable::Refused(network)),
                "{address}"
            );
            assert!(judged(address, &[]).is_ok(), "{address}");
        }
        for address in ["10.95.255.255", "10.112.0.0", "fd10:97::1"] {
            assert!(judged(address, &cluster).is_ok(), "{address}");
        }
        let why = judged("10.96.0.1", &cluster).unwrap_err().to_string();
        assert!(why.contains("10.96.0.0/12"), "{why}");
    }
}
