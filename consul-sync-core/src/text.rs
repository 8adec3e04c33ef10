//! Validated identities: names that cannot be empty, so that no request can be built from an empty one.
//!
//! Consul removes a whole node when a deregistration names no service, and Kubernetes lists a collection
//! when a path names no object. Both start with an empty string, so none of these types can hold one.

use std::{borrow::Borrow, fmt, sync::Arc};

/// The error of building an identity from text that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidText {
    what: &'static str,
    problem: &'static str,
}

impl InvalidText {
    /// Refuses what is empty or holds a control character.
    pub(crate) fn check(what: &'static str, text: &str) -> Result<(), Self> {
        let problem = if text.is_empty() {
            "must not be empty"
        } else if text.chars().any(char::is_control) {
            "must not hold control characters"
        } else {
            return Ok(());
        };
        Err(Self { what, problem })
    }
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes any text that is not empty and holds no control character.
            ///
            /// # Errors
            /// [`InvalidText`] names what was empty or unprintable.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidText> {
                let text = text.into();
                InvalidText::check($what, &text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, shared.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

identity! {
    /// The name a service shall have in the destination, as the source wishes it.
    ///
    /// ```
    /// use consul_sync_core::ServiceName;
    /// assert_eq!(ServiceName::new("web")?.as_str(), "web");
    /// assert!(ServiceName::new("").is_err());
    /// # Ok::<(), consul_sync_core::InvalidText>(())
    /// ```
    ServiceName, "service name"
}

identity! {
    /// Identity of a place in the destination that holds one service; sources are joined to it by [`Layout::place`](crate::Layout::place).
    ///
    /// ```
    /// use consul_sync_core::Slot;
    /// assert!(Slot::new("web").is_ok());
    /// ```
    Slot, "slot"
}

identity! {
    /// The identity that marks what this installation wrote: the UID of namespace `kube-system`, or a name chosen by the operator.
    ///
    /// ```
    /// use consul_sync_core::Owner;
    /// assert_eq!(Owner::new("cluster-a")?.to_string(), "cluster-a");
    /// # Ok::<(), consul_sync_core::InvalidText>(())
    /// ```
    Owner, "owner"
}

/// Identity of a service in its source: namespace and name.
///
/// ```
/// use consul_sync_core::Key;
/// let key = Key::new("default", "web");
/// assert_eq!(key.to_string(), "default/web");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    namespace: Arc<str>,
    name: Arc<str>,
}

impl Key {
    /// A key from its two parts. A source without namespaces uses the empty one.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The namespace in the source.
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// The name in the source.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
