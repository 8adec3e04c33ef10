//! Small services in one line.

use std::sync::Arc;

use crate::{Address, Check, Instance, Key, Service, ServiceName, Status};

/// A service `namespace/name`, named like its key, with one instance on port 80 per address.
///
/// # Panics
/// If `key` is not of the form `namespace/name`.
///
/// ```
/// let web = consul_sync_core::testing::service("default/web", ["10.0.0.1"]);
/// assert_eq!(web.instances.len(), 1);
/// ```
#[allow(clippy::expect_used)]
pub fn service<'a>(key: &str, addresses: impl IntoIterator<Item = &'a str>) -> Service {
    let (namespace, name) = key.split_once('/').expect("a key is namespace/name");
    let wanted = ServiceName::new(name).expect("the name is not empty");
    let mut service = Service::new(Key::new(namespace, name), wanted);
    service.instances = addresses.into_iter().map(instance).collect();
    service
}

/// An instance on port 80 of an IP address, or of a host name if it is none.
pub fn instance(address: &str) -> Instance {
    let address = address
        .parse()
        .map_or_else(|_| Address::Host(Arc::from(address)), Address::Ip);
    Instance::new(address).port("http", 80)
}

/// The readiness of an instance, as its check says it.
///
/// ```
/// use consul_sync_core::{Status, testing::{check, instance}};
/// let mut down = instance("10.0.0.1");
/// down.check = Some(check(Status::Critical).into());
/// assert!(!down.is_live());
/// ```
pub fn check(status: Status) -> Check {
    Check {
        scope: Arc::from("ns"),
        name: Arc::from("readiness"),
        kind: Arc::from("readiness"),
        status,
        output: Arc::from(""),
    }
}
