//! Which ports an instance has, the default one first.

use std::sync::Arc;

use consul_sync_core::{Port, Reason, Rejection};

use crate::{
    annotations::PortChoice,
    slim::{EndpointPort, ServiceBody},
    strings::Strings,
};

/// The name of a default port that is none of the Service's.
const CHOSEN: &str = "default";

/// The ports of a Service, in the order they are registered in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    ports: Arc<[ServicePort]>,
    /// A number that shall be the default, whether or not a port has it.
    number: Option<u16>,
}

/// One of the ports of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServicePort {
    /// As it is registered.
    name: Arc<str>,
    /// As EndpointSlices know it; empty when it has none.
    wire_name: Arc<str>,
    port: u16,
    node_port: Option<u16>,
}

impl Ports {
    /// # Errors
    /// The annotation names a port that the Service does not have, or a number that is none of a port.
    pub(crate) fn new(
        body: &ServiceBody,
        choice: Option<PortChoice<'_>>,
        strings: &mut Strings,
    ) -> Result<Self, Rejection> {
        let mut ports: Vec<_> = body
            .ports
            .iter()
            .enumerate()
            .map(|(at, port)| ServicePort {
                name: if port.name.is_empty() {
                    strings.get(&format!("port{}", at + 1))
                } else {
                    strings.share(&port.name)
                },
                wire_name: strings.share(&port.name),
                port: port.port,
                node_port: port.node_port,
            })
            .collect();
        let number = match choice {
            None => None,
            Some(PortChoice::Number(number)) => Some(number_of_port(number)?),
            Some(PortChoice::Name(name)) => {
                // The registered name of a port without one is taken as well.
                let Some(at) = ports.iter().position(|port| port.name.as_ref() == name) else {
                    return Err(unknown(name, &ports));
                };
                ports[..=at].rotate_right(1);
                None
            }
        };
        Ok(Self {
            ports: strings.share_service_ports(ports.into()),
            number,
        })
    }

    /// The ports at an address of the Service itself.
    pub(super) fn of_service(&self) -> Arc<[Port]> {
        self.list(
            self.ports
                .iter()
                .map(|port| named(&port.name, port.port))
                .collect(),
        )
    }

    /// The ports at an address of a node; those without a node port are not reached there.
    pub(super) fn of_node(&self) -> Arc<[Port]> {
        self.list(
            self.ports
                .iter()
                .filter_map(|port| Some(named(&port.name, port.node_port?)))
                .collect(),
        )
    }

    /// The ports of the endpoints of a slice, in the order of the Service, then those that it does not know.
    pub(super) fn of_endpoints(&self, slice: &[EndpointPort]) -> Arc<[Port]> {
        let mut found = Vec::with_capacity(slice.len());
        for port in &*self.ports {
            if let Some(of_slice) = slice
                .iter()
                .find(|of_slice| of_slice.name == port.wire_name)
            {
                found.push(named(&port.name, of_slice.number));
            }
        }
        for (at, of_slice) in slice.iter().enumerate() {
            if self
                .ports
                .iter()
                .any(|port| port.wire_name == of_slice.name)
            {
                continue;
            }
            let unnamed: Arc<str>;
            let name = if of_slice.name.is_empty() {
                unnamed = format!("port{}", at + 1).into();
                &unnamed
            } else {
                &of_slice.name
            };
            if found.iter().all(|port| port.name != *name) {
                found.push(named(name, of_slice.number));
            }
        }
        self.list(found)
    }

    /// The list with the chosen number first.
    fn list(&self, mut ports: Vec<Port>) -> Arc<[Port]> {
        let Some(number) = self.number else {
            return ports.into();
        };
        if let Some(at) = ports.iter().position(|port| port.number == number) {
            ports[..=at].rotate_right(1);
            return ports.into();
        }
        let taken = ports.iter().any(|port| port.name.as_ref() == CHOSEN);
        let name = if taken {
            format!("{CHOSEN}-{number}").into()
        } else {
            Arc::from(CHOSEN)
        };
        ports.insert(0, Port { name, number });
        ports.into()
    }
}

fn named(name: &Arc<str>, number: u16) -> Port {
    Port {
        name: Arc::clone(name),
        number,
    }
}

fn number_of_port(number: i64) -> Result<u16, Rejection> {
    match u16::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => {
            let message = format!("annotation service-port: {number} is no port, 1 to 65535 are");
            Err(Rejection::new(Reason::InvalidPort, message))
        }
    }
}

fn unknown(name: &str, ports: &[ServicePort]) -> Rejection {
    let known: Vec<_> = ports.iter().map(|port| port.name.as_ref()).collect();
    let known = if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    let message =
        format!("annotation service-port: {name:?} is not a port of the Service, {known}");
    Rejection::new(Reason::InvalidPort, message)
}
