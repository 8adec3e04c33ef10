//! The endpoints, as names for counters and faults.

use http::Method;

/// An endpoint of the fake, or everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `GET /v1/status/leader`
    Leader,
    /// `GET /v1/agent/self`
    AgentSelf,
    /// `GET /v1/catalog/nodes`
    Nodes,
    /// `GET /v1/catalog/services`
    Services,
    /// `GET /v1/catalog/service/NAME`
    Service,
    /// `GET /v1/catalog/node/NAME`
    Node,
    /// `GET /v1/catalog/node-services/NAME`
    NodeServices,
    /// `GET /v1/health/node/NAME`
    NodeChecks,
    /// `GET /v1/health/checks/NAME`
    ServiceChecks,
    /// `GET /v1/health/state/STATE`
    ChecksInState,
    /// `GET /v1/health/service/NAME`
    ServiceHealth,
    /// `GET /v1/internal/ui/node/NAME`
    UiNode,
    /// `GET /v1/acl/token/self`
    TokenSelf,
    /// `POST /v1/internal/acl/authorize`
    Authorize,
    /// `POST /v1/acl/login`
    Login,
    /// `POST /v1/acl/logout`
    Logout,
    /// `GET /v1/kv/KEY`
    Key,
    /// `PUT /v1/session/create`
    SessionCreate,
    /// `PUT /v1/session/renew/ID`
    SessionRenew,
    /// `PUT /v1/session/destroy/ID`
    SessionDestroy,
    /// `PUT /v1/txn`
    Txn,
    /// `PUT /v1/catalog/register`
    Register,
    /// `PUT /v1/catalog/deregister`
    Deregister,
    /// `GET /v1/namespaces` (Consul Enterprise)
    Namespaces,
    /// `PUT /v1/namespace` (Consul Enterprise)
    NamespaceCreate,
    /// `GET`, `PUT` or `DELETE /v1/namespace/NAME` (Consul Enterprise)
    Namespace,
    /// Any other path.
    Unknown,
}

impl Endpoint {
    /// The endpoint at `path`, which is already unescaped, and the rest of the path behind it.
    pub(super) fn at(path: &str) -> (Self, &str) {
        let whole = match path {
            "/v1/status/leader" => Self::Leader,
            "/v1/agent/self" => Self::AgentSelf,
            "/v1/catalog/nodes" => Self::Nodes,
            "/v1/catalog/services" => Self::Services,
            "/v1/acl/token/self" => Self::TokenSelf,
            "/v1/internal/acl/authorize" => Self::Authorize,
            "/v1/acl/login" => Self::Login,
            "/v1/acl/logout" => Self::Logout,
            "/v1/session/create" => Self::SessionCreate,
            "/v1/txn" => Self::Txn,
            "/v1/catalog/register" => Self::Register,
            "/v1/catalog/deregister" => Self::Deregister,
            "/v1/namespaces" => Self::Namespaces,
            "/v1/namespace" => Self::NamespaceCreate,
            _ => return Self::with_name(path),
        };
        (whole, "")
    }

    fn with_name(path: &str) -> (Self, &str) {
        let families = [
            ("/v1/kv/", Self::Key),
            ("/v1/session/renew/", Self::SessionRenew),
            ("/v1/session/destroy/", Self::SessionDestroy),
            ("/v1/catalog/service/", Self::Service),
            ("/v1/catalog/node/", Self::Node),
            ("/v1/catalog/node-services/", Self::NodeServices),
            ("/v1/health/node/", Self::NodeChecks),
            ("/v1/health/checks/", Self::ServiceChecks),
            ("/v1/health/state/", Self::ChecksInState),
            ("/v1/health/service/", Self::ServiceHealth),
            ("/v1/internal/ui/node/", Self::UiNode),
            ("/v1/namespace/", Self::Namespace),
        ];
        let found = families
            .into_iter()
            .find_map(|(prefix, family)| Some((family, path.strip_prefix(prefix)?)));
        found.unwrap_or((Self::Unknown, ""))
    }

    /// Whether only Consul Enterprise has it.
    pub(super) fn is_of_enterprise(self) -> bool {
        matches!(
            self,
            Self::Namespaces | Self::NamespaceCreate | Self::Namespace
        )
    }

    /// The only method that the endpoint takes; a namespace takes more.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Authorize | Self::Login | Self::Logout => Method::POST,
            Self::Txn
            | Self::Register
            | Self::Deregister
            | Self::SessionCreate
            | Self::SessionRenew
            | Self::SessionDestroy
            | Self::NamespaceCreate => Method::PUT,
            _ => Method::GET,
        }
    }

    /// Whether the endpoint writes.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::Txn
                | Self::Register
                | Self::Deregister
                | Self::SessionCreate
                | Self::SessionDestroy
                | Self::NamespaceCreate
        )
    }
}
