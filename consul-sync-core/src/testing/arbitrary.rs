//! Generators for property tests.

use proptest::{collection::vec, prelude::*};

use super::{instance, service};
use crate::{Check, Event, Key, Service, Status};
use std::sync::Arc;

/// A service out of a few names in two namespaces, so that names collide, with up to five instances out of eight
/// addresses, so that addresses do too.
pub fn any_service() -> impl Strategy<Value = Service> {
    let key = (0..2_u8, 0..5_u8, 0..3_u8);
    (key, 0..3_i64, vec((0..8_u8, any::<bool>()), 0..5), 0..3_u8).prop_map(
        |((namespace, name, object), created, addresses, tag)| {
            let mut service = service(&format!("ns{namespace}/web{name}"), []);
            service.key = Key::new(format!("ns{namespace}"), format!("web{name}-{object}"));
            service.created = created;
            service.tags = vec![Arc::from(format!("tag{tag}"))].into();
            for (address, is_ready) in addresses {
                let mut instance = instance(&format!("10.0.0.{address}"));
                instance.check = Some(check(is_ready).into());
                service.instances.push(instance);
            }
            service
        },
    )
}

/// Events of a source in any order: changes, deletes, rejections, errors apart.
pub fn any_history() -> impl Strategy<Value = Vec<Event<Key, Arc<Service>>>> {
    let event = (any_service(), 0..10_u8).prop_map(|(service, kind)| match kind {
        0..=6 => Event::Upserted(service.key.clone(), Arc::new(service)),
        7..=8 => Event::Removed(service.key),
        _ => {
            let text = "made by the generator";
            let rejection = crate::Rejection::new(crate::Reason::Undecodable, text);
            Event::Rejected(service.key, rejection)
        }
    });
    vec(event, 0..30)
}

fn check(is_ready: bool) -> Check {
    let (status, output) = if is_ready {
        (Status::Passing, "ready")
    } else {
        (Status::Critical, "not ready")
    };
    Check {
        output: Arc::from(output),
        ..super::check(status)
    }
}
