//! Addresses as Kubernetes writes them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use consul_sync_core::Address;

/// An IP address in any spelling that the API server has ever accepted.
///
/// Old objects may hold IPv4 addresses with leading zeros. They were always read as decimal numbers, never as
/// octal, and so are they here.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| zero_padded(text).map(IpAddr::V4))
}

/// An IP address where it is one, else a host name.
pub(super) fn ip_or_host(text: &str) -> Address {
    ip(text).map_or_else(|| Address::Host(Arc::from(text)), Address::Ip)
}

fn zero_padded(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = part.trim_start_matches('0');
        *octet = if digits.is_empty() {
            0
        } else {
            digits.parse().ok()?
        };
    }
    parts.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_decimal() {
        assert_eq!(ip("010.000.0.09"), ip("10.0.0.9"));
        assert_eq!(ip("10.0.0.256"), None);
        assert_eq!(ip("10.0.0"), None);
        assert_eq!(ip("10.0.0.1.2"), None);
        assert_eq!(ip("10.0.0.x"), None);
        assert_eq!(ip(""), None);
    }

    #[test]
    fn other_spellings_of_one_ipv6_address_are_one_address() {
        assert_eq!(ip("2001:DB8:0:0::1"), ip("2001:db8::1"));
    }
}
