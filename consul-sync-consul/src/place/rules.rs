//! What Consul refuses, said before it is asked: a refusal there undoes a whole transaction.

use std::collections::BTreeSet;

use consul_sync_core::{Address, Instance, Meta, Reason, Rejection, Service, Slot};

use crate::registration::{MARKS, OWNER_META};

/// The longest service name, in bytes.
const NAME: usize = 255;
/// The most pairs of one instance, the owner's included.
const PAIRS: usize = 64;
/// The longest meta key, in bytes.
const KEY: usize = 128;
/// The longest meta value, in bytes.
const VALUE: usize = 512;
/// The prefix of the meta keys that Consul keeps for itself.
const RESERVED: &str = "consul-";
/// The largest weight that DNS can carry.
const WEIGHT: u32 = 65_535;
/// The most text of one instance; the rest of the 512 KiB of a transaction is for JSON around it.
const TEXT: usize = 128 * 1024;

/// Checks everything about a service that Consul would refuse, or keep and never give back by its name.
pub(super) fn check(service: &Service) -> Result<(), Rejection> {
    check_name(service.name.as_str())?;
    if let Some(weight) = service.weight
        && (weight == 0 || weight > WEIGHT)
    {
        return Err(Rejection::new(
            Reason::InvalidMeta,
            format!("weight {weight} is not in 1 to {WEIGHT}"),
        ));
    }
    check_pairs(&service.meta)?;
    let tags: usize = service.tags.iter().map(|tag| tag.len()).sum();
    let common = tags + text_of(&service.meta);
    for instance in &service.instances {
        check_instance(service, instance, common)?;
    }
    Ok(())
}

/// Checks what Consul refuses in a list of ports.
pub(super) fn check_ports(service: &Service) -> Result<(), Rejection> {
    for instance in &service.instances {
        let mut names = BTreeSet::new();
        for port in instance.ports.iter() {
            let problem = if port.name.trim().is_empty() {
                "has no name"
            } else if port.number == 0 {
                "is 0"
            } else if !names.insert(&port.name) {
                "has a name that another one has"
            } else {
                continue;
            };
            return Err(Rejection::new(
                Reason::InvalidPort,
                format!("port {:?} of {} {problem}", port.name, instance.address),
            ));
        }
    }
    Ok(())
}

/// The slot of a name that passed.
pub(super) fn slot(text: String) -> Result<Slot, Rejection> {
    Slot::new(text).map_err(|error| Rejection::new(Reason::InvalidName, error.to_string()))
}

fn check_name(name: &str) -> Result<(), Rejection> {
    let problem = if name.len() > NAME {
        format!("is longer than {NAME} bytes")
    } else if name.trim() != name {
        "begins or ends with white space".to_owned()
    } else if matches!(name, "." | "..") {
        "cannot be part of a path, so it could not be read back".to_owned()
    } else if name.eq_ignore_ascii_case("consul") {
        "is the name of Consul's own servers".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).collect();
    Err(Rejection::new(
        Reason::InvalidName,
        format!("consul service name {shown:?} {problem}"),
    ))
}

fn check_instance(service: &Service, instance: &Instance, common: usize) -> Result<(), Rejection> {
    let address = &instance.address;
    let is_usable = match address {
        // Consul answers "invalid service address" to these.
        Address::Ip(ip) => !ip.is_unspecified(),
        Address::Host(host) => {
            !host.is_empty() && !host.chars().any(|c| c.is_control() || c.is_whitespace())
        }
    };
    if !is_usable {
        return Err(Rejection::new(
            Reason::InvalidAddress,
            format!("address {:?} cannot be called", address.to_string()),
        ));
    }
    if instance.default_port() == Some(0) {
        return Err(Rejection::new(
            Reason::InvalidPort,
            format!("port 0 of {address} is not in 1 to 65535"),
        ));
    }
    check_pairs(&instance.meta)?;
    let count = count_pairs(&service.meta, &instance.meta);
    if count > PAIRS {
        return Err(Rejection::new(
            Reason::InvalidMeta,
            format!("{count} meta pairs on {address}; consul takes {PAIRS}, the owner's included"),
        ));
    }
    let check = instance.check.as_ref().map_or(0, |check| {
        check.name.len() + check.kind.len() + check.output.len() + check.scope.len()
    });
    let text = common + text_of(&instance.meta) + check;
    if text > TEXT {
        return Err(Rejection::new(
            Reason::TooLarge,
            format!(
                "tags, meta and check of {address} are {text} bytes; consul takes at most {TEXT} in one write"
            ),
        ));
    }
    Ok(())
}

fn check_pairs(meta: &Meta) -> Result<(), Rejection> {
    let refuse = |key: &str, problem: String| {
        let shown: String = key.chars().take(64).collect();
        Err(Rejection::new(
            Reason::InvalidMeta,
            format!("meta key {shown:?} {problem}"),
        ))
    };
    for (key, value) in meta.iter() {
        if key.is_empty() {
            return refuse(key, "must not be empty".into());
        }
        if key.len() > KEY {
            return refuse(key, format!("is longer than {KEY} bytes"));
        }
        if !key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        {
            return refuse(key, "may hold letters, digits, - and _ only".into());
        }
        if key.starts_with(RESERVED) {
            return refuse(
                key,
                format!("begins with {RESERVED:?}, which consul keeps for itself"),
            );
        }
        // The owner's own key is overruled where it is written.
        if key.starts_with(MARKS) && key.as_ref() != OWNER_META {
            return refuse(
                key,
                format!("begins with {MARKS:?}, which is for the marks of synchronisers"),
            );
        }
        if value.len() > VALUE {
            return refuse(
                key,
                format!("has a value of {} bytes; consul takes {VALUE}", value.len()),
            );
        }
    }
    Ok(())
}

/// How many pairs an instance has in all.
fn count_pairs(shared: &Meta, own: &Meta) -> usize {
    let most = shared.len() + own.len() + 1;
    if most <= PAIRS {
        return most;
    }
    let keys: BTreeSet<&str> = shared
        .iter()
        .chain(own.iter())
        .map(|(key, _)| key.as_ref())
        .chain([OWNER_META])
        .collect();
    keys.len()
}

fn text_of(meta: &Meta) -> usize {
    meta.iter()
        .map(|(key, value)| key.len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use consul_sync_core::{Key, ServiceName};

    use super::*;

    fn service(name: &str) -> Service {
        let mut service = Service::new(Key::new("ns", "svc"), ServiceName::new(name).unwrap());
        service.instances = vec![Instance::new(Address::Ip([10, 0, 0, 1].into())).port("http", 80)];
        service
    }

    fn with_meta(pairs: &[(&str, &str)]) -> Service {
        let mut service = service("web");
        service.meta = pairs.iter().copied().collect();
        service
    }

    #[test]
    fn what_consul_takes_passes() {
        for name in [
            "web",
            "UPPER",
            "a.b",
            "a_b",
            "a b",
            "a/b",
            "ü",
            &"x".repeat(255),
        ] {
            assert_eq!(check(&service(name)), Ok(()), "{name}");
        }
        let long = "v".repeat(512);
        let key = "k".repeat(128);
        for (key, value) in [
            ("A-z_0", ""),
            (OWNER_META, "x"),
            ("consul", &long),
            (&key, "x"),
        ] {
            assert_eq!(check(&with_meta(&[(key, value)])), Ok(()), "{key}");
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for name in [
            &"x".repeat(256),
            " web",
            "web ",
            ".",
            "..",
            "consul",
            "Consul",
        ] {
            let rejection = check(&service(name)).unwrap_err();
            assert_eq!(rejection.reason(), Reason::InvalidName, "{name}");
        }
    }

    #[test]
    fn fault_t04_bad_pairs_are_refused_before_consul_does() {
        let long = "v".repeat(513);
        let key = "k".repeat(129);
        for (key, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a.b", "x"),
            ("ü", "x"),
            ("consul-x", "x"),
            ("external-sync-format", "2"),
            (key.as_str(), "x"),
            ("a", long.as_str()),
        ] {
            let rejection = check(&with_meta(&[(key, value)])).unwrap_err();
            assert_eq!(rejection.reason(), Reason::InvalidMeta, "{key}");
        }
    }

    #[test]
    fn the_pairs_of_service_instance_and_owner_are_counted_together() {
        let pairs = |from: usize, to: usize| -> Meta {
            (from..to)
                .map(|n| (format!("k{n}"), "v".to_owned()))
                .collect()
        };
        let mut service = service("web");
        service.meta = pairs(0, 60);
        service.instances[0].meta = pairs(57, 63);
        assert_eq!(check(&service), Ok(()));
        service.instances[0].meta = pairs(57, 64);
        let rejection = check(&service).unwrap_err();
        assert!(rejection.message().contains("65 meta pairs"), "{rejection}");
    }

    #[test]
    fn addresses_ports_weights_and_sizes_are_checked() {
        let mut unspecified = service("web");
        unspecified.instances[0].address = Address::Ip([0, 0, 0, 0].into());
        assert_eq!(
            check(&unspecified).unwrap_err().reason(),
            Reason::InvalidAddress
        );
        let mut blank = service("web");
        blank.instances[0].address = Address::Host("a b".into());
        assert_eq!(check(&blank).unwrap_err().reason(), Reason::InvalidAddress);
        let mut zero = service("web");
        zero.instances[0] = Instance::new(Address::Host("a".into())).port("http", 0);
        assert_eq!(check(&zero).unwrap_err().reason(), Reason::InvalidPort);
        let mut heavy = service("web");
        heavy.weight = Some(70_000);
        assert_eq!(check(&heavy).unwrap_err().reason(), Reason::InvalidMeta);
        let mut large = service("web");
        large.tags = Arc::from(["t".repeat(200_000).into()]);
        assert_eq!(check(&large).unwrap_err().reason(), Reason::TooLarge);
    }
}
