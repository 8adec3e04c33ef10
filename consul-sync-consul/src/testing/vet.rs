//! What Consul refuses before it makes a raft entry.

use super::acl::Access;
use super::model::{Check, Instance, NamedPort};
use super::server::Identity;
use super::store::Written;

/// A node needs a name, and an ID that is one.
pub(super) fn node(name: &str, id: &str) -> Written<()> {
    if name.is_empty() {
        return Err("Must provide node".to_owned());
    }
    if id.is_empty() {
        return Ok(());
    }
    fault_of_id(id).map_or(Ok(()), |fault| Err(format!("Bad node ID: {fault}")))
}

fn fault_of_id(id: &str) -> Option<&'static str> {
    if id.len() != 36 {
        return Some("uuid string is wrong length");
    }
    let groups: Vec<_> = id.split('-').collect();
    let formed = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    (!formed).then_some("uuid is improperly formatted")
}

/// From 1.22 on; before that such a service gets as far as it can.
const NAMELESS: &str = "service name (Service.Service) is required; both Service ID (Service.ID) and Service Name cannot \
                        be empty";

/// A service needs a name, sound ports, an address that is one, and the right to write it; its ID defaults to its name.
pub(super) fn service(
    instance: &mut Instance,
    access: &Access,
    identity: &Identity,
) -> Written<()> {
    vet_ports(instance)?;
    if instance.id.is_empty() && instance.service.is_empty() && identity.is_1_22() {
        return Err(NAMELESS.to_owned());
    }
    if instance.id.is_empty() {
        instance.id.clone_from(&instance.service);
    }
    if !instance.id.is_empty() && instance.service.is_empty() {
        return Err(
            "Must provide service name (Service.Service) when service ID is provided".to_owned(),
        );
    }
    if matches!(instance.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return Err("Invalid service address".to_owned());
    }
    if instance.service == "consul" {
        Ok(())
    } else {
        access.service_write(&instance.service)
    }
}

fn vet_ports(instance: &Instance) -> Written<()> {
    let ports = &instance.ports;
    if ports.is_empty() {
        return Ok(());
    }
    let mut faults = Vec::new();
    if instance.port != 0 {
        faults.push("Cannot set both Port and Ports".to_owned());
    }
    if let Some(fault) = fault_of_ports(ports) {
        faults.push(fault);
    }
    match faults.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("1 error occurred:\n\t* {one}\n\n")),
        many => Err(format!(
            "{} errors occurred:\n\t* {}\n\n",
            many.len(),
            many.join("\n\t* ")
        )),
    }
}

fn fault_of_ports(ports: &[NamedPort]) -> Option<String> {
    let mut default = false;
    for (at, port) in ports.iter().enumerate() {
        if port.name.trim().is_empty() {
            return Some("Ports.Name cannot be empty".to_owned());
        }
        if port.port <= 0 {
            return Some("Ports.Port must be greater than zero".to_owned());
        }
        if ports[..at].iter().any(|other| other.name == port.name) {
            return Some(format!("Ports.Name {:?} has to be unique", port.name));
        }
        if default && port.default {
            return Some("Only one port can be marked as default".to_owned());
        }
        default |= port.default;
    }
    (!default).then(|| "One of the Ports must be marked as Default".to_owned())
}

/// A check's ID defaults to its name.
pub(super) fn default_check_id(check: &mut Check) {
    if check.check_id.is_empty() {
        check.check_id.clone_from(&check.name);
    }
}
