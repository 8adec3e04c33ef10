//! `PUT /v1/catalog/register` and `/v1/catalog/deregister`: the writes of everyone who is not the sync.

use super::acl::Access;
use super::answer::Answer;
use super::decode::{DecodeError, Decoded, Fields, first_value, list};
use super::model::{Check, Instance, Node, folded};
use super::object::{Knows, register_check, register_service};
use super::request::DATACENTER;
use super::server::Identity;
use super::store::{Store, Written};
use super::tenancy::qualified;
use super::vet;

/// Body of a registration.
#[derive(Debug, Default)]
pub(super) struct Registration {
    pub(super) node: Node,
    pub(super) service: Option<Instance>,
    pub(super) checks: Vec<Check>,
    pub(super) skip_node_update: bool,
}

/// Body of a deregistration.
#[derive(Debug, Default)]
pub(super) struct Deregistration {
    pub(super) node: String,
    pub(super) service_id: String,
    pub(super) check_id: String,
}

/// Reads a registration.
pub(super) fn read(body: &[u8], knows: Knows) -> Decoded<Registration> {
    let Some(mut fields) = Fields::open(first_value(body)?, "RegisterRequest")? else {
        return Ok(Registration::default());
    };
    let mut node = Node {
        id: fields.text("ID")?,
        node: fields.text("Node")?,
        address: fields.text("Address")?,
        datacenter: fields.text("Datacenter")?,
        tagged_addresses: fields.pairs("TaggedAddresses")?,
        meta: fields.pairs("NodeMeta")?,
        create_index: 0,
        modify_index: 0,
    };
    if node.datacenter.is_empty() {
        DATACENTER.clone_into(&mut node.datacenter);
    }
    let service = match Fields::open(fields.take("Service"), "Service")? {
        Some(service) => Some(register_service(service, knows)?),
        None => None,
    };
    let mut checks = Vec::new();
    for value in list(fields.take("Checks"), "Checks")? {
        if let Some(check) = Fields::open(value, "Checks")? {
            checks.push(register_check(check, knows)?);
        }
    }
    if let Some(check) = Fields::open(fields.take("Check"), "Check")? {
        checks.push(register_check(check, knows)?);
    }
    let skip_node_update = fields.flag("SkipNodeUpdate")?;
    fields.ignore(&[
        "Locality",
        "PeerName",
        "Token",
        "CreateIndex",
        "ModifyIndex",
    ]);
    if knows.namespaces {
        fields.ignore(&["Namespace", "Partition"]);
    }
    fields.finish()?;
    Ok(Registration {
        node,
        service,
        checks,
        skip_node_update,
    })
}

/// Reads a deregistration.
pub(super) fn read_removal(body: &[u8], knows: Knows) -> Decoded<Deregistration> {
    let Some(mut fields) = Fields::open(first_value(body)?, "DeregisterRequest")? else {
        return Ok(Deregistration::default());
    };
    let namespace = if knows.namespaces {
        fields.ignore(&["Partition"]);
        fields.text("Namespace")?
    } else {
        String::new()
    };
    let removal = Deregistration {
        node: fields.text("Node")?,
        service_id: qualified(&namespace, &fields.text("ServiceID")?),
        check_id: qualified(&namespace, &fields.text("CheckID")?),
    };
    fields.ignore(&["Datacenter", "Address", "PeerName", "Token"]);
    fields.finish()?;
    Ok(removal)
}

/// What Consul refuses before it makes a raft entry; fills in what defaults.
pub(super) fn pre_check(
    store: &Store,
    registration: &mut Registration,
    access: &Access,
    identity: &Identity,
) -> Written<()> {
    let Registration {
        node,
        service,
        checks,
        skip_node_update,
    } = registration;
    vet::node(&node.node, &node.id)?;
    if node.address.is_empty() && !*skip_node_update {
        return Err("Must provide address if SkipNodeUpdate is not set".to_owned());
    }
    if let Some(service) = service {
        service.node.clone_from(&node.node);
        vet::service(service, access, identity)?;
    }
    for check in checks.iter_mut() {
        if check.node.is_empty() {
            check.node.clone_from(&node.node);
        }
        vet::default_check_id(check);
    }
    let known = store.node(&node.node);
    if known.is_none_or(|old| !*skip_node_update && !node.is_same(old)) {
        access.node_write(&node.node)?;
    }
    if let Some(service) = service {
        access.service_write(&service.service)?;
        if let Some(other) = store
            .instance(&node.node, &service.id)
            .filter(|other| other.id == service.id)
            && !access.can_write_service(&other.service)
        {
            return Err("Permission denied".to_owned());
        }
    }
    for check in checks.iter() {
        if folded(&check.node) != folded(&node.node) {
            return Err(format!(
                "Node '{}' for check '{}' doesn't match register request node '{}'",
                check.node, check.check_id, node.node
            ));
        }
        if check.service_id.is_empty() {
            access.node_write(&node.node)?;
        } else if service
            .as_ref()
            .is_none_or(|service| service.id != check.service_id)
        {
            let owner = store
                .instance(&node.node, &check.service_id)
                .filter(|owner| owner.id == check.service_id);
            let Some(owner) = owner else {
                return Err(format!(
                    "Unknown service ID '{}' for check ID '{}'",
                    check.service_id, check.check_id
                ));
            };
            access.service_write(&owner.service)?;
        }
    }
    Ok(())
}

/// Runs a registration that passed [`pre_check`].
pub(super) fn run(store: &mut Store, index: u64, registration: Registration) -> Written<()> {
    let Registration {
        node,
        service,
        checks,
        skip_node_update,
    } = registration;
    let name = node.node.clone();
    if store
        .node(&name)
        .is_none_or(|old| !skip_node_update && !node.is_same(old))
    {
        store
            .set_node(index, node)
            .map_err(|why| format!("failed inserting node: {why}"))?;
    }
    if let Some(service) = service {
        store
            .set_instance(index, service)
            .map_err(|why| format!("failed inserting service: {why}"))?;
    }
    for check in checks {
        let at = check.node.clone();
        store
            .set_check(index, check)
            .map_err(|why| format!("failed inserting check on node \"{at}\": {why}"))?;
    }
    store.publishable()
}

/// What Consul refuses of a deregistration.
pub(super) fn pre_check_removal(
    store: &Store,
    removal: &Deregistration,
    access: &Access,
) -> Written<()> {
    if removal.node.is_empty() {
        return Err("Must provide node".to_owned());
    }
    let Err(no_node_right) = access.node_write(&removal.node) else {
        return Ok(());
    };
    if !removal.service_id.is_empty() {
        match store.instance(&removal.node, &removal.service_id) {
            None => Err(format!("Unknown service ID '{}'", removal.service_id)),
            Some(instance) => access.service_write(&instance.service),
        }
    } else if removal.check_id.is_empty() {
        Err(no_node_right)
    } else {
        match store.check(&removal.node, &removal.check_id) {
            None => Err(format!("Unknown check ID '{}'", removal.check_id)),
            Some(check) if check.service_id.is_empty() => Err(no_node_right),
            Some(check) => access.service_write(&check.service_name),
        }
    }
}

/// Runs a deregistration: an instance, else a check, else the whole node.
pub(super) fn run_removal(store: &mut Store, index: u64, removal: &Deregistration) -> Written<()> {
    if !removal.service_id.is_empty() {
        store.remove_instance(index, &removal.node, &removal.service_id);
    } else if !removal.check_id.is_empty() {
        store.remove_check(index, &removal.node, &removal.check_id);
    } else {
        store.remove_node(index, &removal.node);
    }
    store.publishable()
}

/// Answer to a body that cannot be read.
pub(super) fn unreadable(error: &DecodeError) -> Answer {
    let of_enterprise = if error.0.ends_with("unknown field \"Namespace\"") {
        " - Namespaces are a Consul Enterprise feature"
    } else {
        ""
    };
    Answer::text(
        400,
        format!("Request decode failed: {}{of_enterprise}", error.0),
    )
}
