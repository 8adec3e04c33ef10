//! Every setting, once.

pub(crate) mod consul;
pub(crate) mod election;
pub(crate) mod export;
pub(crate) mod kubernetes;
pub(crate) mod process;
pub(crate) mod safety;

use super::setting::Row;

/// Every row, in the order of the help.
pub(crate) static ALL: &[&Row] = &[
    &kubernetes::KUBECONFIG.row,
    &kubernetes::CONTEXT.row,
    &kubernetes::STREAMING_LISTS.row,
    &kubernetes::SERVICE_ACCOUNT.row,
    &export::ALLOW_NAMESPACE.row,
    &export::DENY_NAMESPACE.row,
    &export::NAMESPACE_SELECTOR.row,
    &export::SERVICE_SELECTOR.row,
    &export::DEFAULT_SYNC.row,
    &export::NAME_PREFIX.row,
    &export::NAMESPACE_SUFFIX.row,
    &export::ALLOW_NAMES.row,
    &export::MAX_SERVICES_PER_NAMESPACE.row,
    &export::TAG.row,
    &export::CLUSTER_IP.row,
    &export::LOAD_BALANCER_ENDPOINTS.row,
    &export::NODE_PORTS.row,
    &export::INGRESS.row,
    &export::INGRESS_LOAD_BALANCER_IPS.row,
    &export::SERVE_TERMINATING.row,
    &consul::ADDR.row,
    &consul::TLS.row,
    &consul::TOKEN.row,
    &consul::TOKEN_FILE.row,
    &consul::CA_FILE.row,
    &consul::CA_DIR.row,
    &consul::CLIENT_CERT.row,
    &consul::CLIENT_KEY.row,
    &consul::TLS_SERVER_NAME.row,
    &consul::PARTITION.row,
    &consul::NAMESPACE.row,
    &consul::MIRROR_NAMESPACES.row,
    &consul::MIRROR_PREFIX.row,
    &consul::DATACENTER.row,
    &consul::TIMEOUT.row,
    &consul::WAIT.row,
    &consul::CONNECTIONS.row,
    &consul::ANSWER_LIMIT.row,
    &consul::NODE.row,
    &consul::PORTS.row,
    &consul::CHECKS.row,
    &consul::NODE_ADDRESS.row,
    &safety::OWNER.row,
    &safety::EXCLUSIVE_NAMES.row,
    &safety::POLICY.row,
    &safety::ORPHANS.row,
    &safety::BRAKE_SHARE.row,
    &safety::BRAKE_FLOOR.row,
    &safety::BRAKE_WINDOW.row,
    &safety::RETRY_MAX.row,
    &election::LEADER_ELECTION.row,
    &election::TTL.row,
    &election::LOCK_DELAY.row,
    &election::PREFIX.row,
    &process::LISTEN.row,
    &process::LOG_LEVEL.row,
    &process::LOG_FORMAT.row,
    &process::TIMEOUT.row,
];
