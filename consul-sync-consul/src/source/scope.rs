//! Which part of Consul is read.

use crate::{Client, Error, request::Request};

/// A part of Consul that is read by itself: a datacenter, a partition and a namespace (Consul Enterprise), or what a
/// cluster peer shares. What is not named is the client's own.
///
/// ```
/// use consul_sync_consul::Scope;
/// let mut scope = Scope::default();
/// scope.datacenter = Some("dc2".into());
/// assert_eq!(scope.qualifier(), "default.dc2.dc");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Scope {
    /// The datacenter.
    pub datacenter: Option<String>,
    /// The admin partition.
    pub partition: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The cluster peer whose services are read. Consul does not list their names, so each has to be named by a
    /// pattern of [`SourceSettings::allow`](super::SourceSettings::allow) without a star.
    pub peer: Option<String>,
}

// === impl Scope ===

impl Scope {
    /// What tells its services from those of other scopes, in the words of Consul's DNS: the namespace (`default`
    /// where none is named), then `NAME.ap`, `NAME.peer` and `NAME.dc`. It is the namespace of its services' keys.
    pub fn qualifier(&self) -> String {
        let mut text = self.namespace.as_deref().unwrap_or("default").to_owned();
        for (name, kind) in [
            (&self.partition, "ap"),
            (&self.peer, "peer"),
            (&self.datacenter, "dc"),
        ] {
            if let Some(name) = name {
                text.extend([".", name, ".", kind]);
            }
        }
        text
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        for (what, name) in [
            ("datacenter", &self.datacenter),
            ("partition", &self.partition),
            ("namespace", &self.namespace),
            ("peer", &self.peer),
        ] {
            let Some(name) = name else { continue };
            // Queries about several at once have no index of their own.
            let is_good = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            if !is_good {
                return Err(Error::Settings(format!(
                    "{what} {name:?} is not a name of letters, digits, dashes and underscores; name each {what} by \
                     itself, or leave it unset"
                )));
            }
        }
        Ok(())
    }

    /// A request about it.
    pub(super) fn ask(&self, client: &Client, request: Request) -> Request {
        client
            .scoped_to(
                request,
                self.datacenter.as_deref(),
                self.partition.as_deref(),
            )
            .with_optional("ns", self.namespace.as_deref())
            .with_optional("peer", self.peer.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientSettings;

    fn scope(names: [&str; 4]) -> Scope {
        let [datacenter, partition, namespace, peer] =
            names.map(|name| (!name.is_empty()).then(|| name.to_owned()));
        Scope {
            datacenter,
            partition,
            namespace,
            peer,
        }
    }

    #[test]
    fn scopes_have_qualifiers_of_their_own() {
        for (names, qualifier) in [
            (["", "", "", ""], "default"),
            (["", "", "team", ""], "team"),
            (["dc2", "", "", ""], "default.dc2.dc"),
            (["", "", "", "dc2"], "default.dc2.peer"),
            (["d", "p", "n", "e"], "n.p.ap.e.peer.d.dc"),
        ] {
            assert_eq!(scope(names).qualifier(), qualifier);
        }
        assert!(scope(["*", "", "", ""]).check().is_err());
        assert!(scope(["", "", "a.b", ""]).check().is_err());
    }

    #[test]
    fn what_is_named_goes_before_what_the_client_has() {
        let mut settings = ClientSettings::new("http://127.0.0.1:8500");
        settings.datacenter = Some("dc1".into());
        settings.partition = Some("p1".into());
        let client = Client::new(settings).unwrap();
        let target = |names| {
            let request = Request::get(&["catalog", "services"]);
            scope(names).ask(&client, request).target()
        };
        assert_eq!(
            target(["", "", "", ""]),
            "/v1/catalog/services?dc=dc1&partition=p1"
        );
        assert_eq!(
            target(["dc2", "", "team", "east"]),
            "/v1/catalog/services?dc=dc2&partition=p1&ns=team&peer=east"
        );
    }
}
