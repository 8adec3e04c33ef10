//! Ports of a Service and of its slices.
//!
//! A slice has one list of ports for all its endpoints, so instances with other numbers stand in other slices. The
//! Service lists every name once, and whoever calls its address reaches each endpoint at the number that the endpoint
//! has under that name. The number that the Service itself has under a name is the lowest that any instance has, so that
//! it stays while others come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use consul_sync_core::{Instance, Port, Reason};

use super::{name::port_name, place::Refusals};

/// The ports of one instance, by name.
pub(crate) fn of_instance(instance: &Instance, refusals: &mut Refusals) -> Vec<Port> {
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    for port in instance.ports.iter() {
        let name = port_name(&port.name);
        if port.number == 0 {
            refusals.add(Reason::InvalidPort, || {
                format!("port {name} of {} has number 0", instance.address)
            });
            continue;
        }
        match ports.get(&name) {
            None => drop(ports.insert(name, port.number)),
            Some(number) if *number == port.number => {}
            Some(number) => refusals.add(Reason::InvalidPort, || {
                format!(
                    "{} has two ports {name} in Kubernetes, {number} and {}; the first is used",
                    instance.address, port.number
                )
            }),
        }
    }
    let port = |(name, number): (String, u16)| Port {
        name: name.into(),
        number,
    };
    ports.into_iter().map(port).collect()
}

/// The ports of the Service, by name: each name and each number once, as Kubernetes demands it.
pub(crate) fn of_service<'a>(
    lists: impl Iterator<Item = &'a Vec<Port>>,
    refusals: &mut Refusals,
) -> Arc<[Port]> {
    let mut numbers: BTreeMap<&Arc<str>, BTreeSet<u16>> = BTreeMap::new();
    for port in lists.flatten() {
        numbers.entry(&port.name).or_default().insert(port.number);
    }
    let mut taken = BTreeSet::new();
    let mut ports = Vec::with_capacity(numbers.len());
    for (name, numbers) in numbers {
        match numbers.iter().find(|number| taken.insert(**number)) {
            Some(number) => ports.push(Port {
                name: Arc::clone(name),
                number: *number,
            }),
            None => refusals.add(Reason::InvalidPort, || {
                format!(
                    "port {name} has the number of another port everywhere, and a Service has each number once; it is \
                     left out of the Service"
                )
            }),
        }
    }
    ports.into()
}

#[cfg(test)]
mod tests {
    use consul_sync_core::Address;

    use super::*;

    fn instance(ports: &[(&str, u16)]) -> Instance {
        let plain = Instance::new(Address::Ip([10, 0, 0, 1].into()));
        let add = |instance: Instance, port: &(&str, u16)| instance.port(port.0, port.1);
        ports.iter().fold(plain, add)
    }

    fn words(ports: &[Port]) -> Vec<String> {
        ports
            .iter()
            .map(|port| format!("{}={}", port.name, port.number))
            .collect()
    }

    #[test]
    fn a_name_that_two_ports_become_is_the_first_ones() {
        let mut refusals = Refusals::default();
        let ports = of_instance(
            &instance(&[("HTTP", 80), ("http", 81), ("", 82), ("x", 0)]),
            &mut refusals,
        );
        assert_eq!(words(&ports), ["default=82", "http=80"]);
        let text = format!("{refusals:?}");
        assert!(
            text.contains("two ports http in Kubernetes, 80 and 81") && text.contains("more: 1"),
            "{text}"
        );
    }

    #[test]
    fn a_service_has_every_name_and_every_number_once() {
        let mut refusals = Refusals::default();
        let lists = [
            of_instance(&instance(&[("http", 8080), ("admin", 9000)]), &mut refusals),
            of_instance(&instance(&[("http", 80), ("admin", 80)]), &mut refusals),
            of_instance(&instance(&[("web", 80)]), &mut refusals),
        ];
        let ports = of_service(lists.iter(), &mut refusals);
        assert_eq!(words(&ports), ["admin=80", "http=8080"]);
        assert!(format!("{refusals:?}").contains("port web has the number"));
    }
}
