//! How the API server is reached, from a kubeconfig or from the pod we run in.
//!
//! kube's own inference takes any kubeconfig that cannot be used for none at all, and goes on to the pod's service
//! account: then a typing error makes the program write for another cluster than the one that was meant. Here a
//! kubeconfig that exists must be usable.

use std::{
    env,
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{Cluster, Kubeconfig, KubeconfigError},
};

use crate::{args::given::without_password, chain::Chain, settings::ClusterSettings};

mod following;

use following::Following;

/// The way to the API server: what a client is made from, each time that one is made.
#[derive(Clone, Debug)]
struct Way {
    origin: Origin,
    /// The context that the operator named.
    context: Option<String>,
    /// What the origin said when the program started; `None` in a pod. It is not read again: it could lead to another
    /// cluster then, whose services would take the places of this one's.
    kubeconfig: Option<Kubeconfig>,
}

/// Where the way to the API server is described.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// A file that the operator named.
    Named(PathBuf),
    /// The files of this variable's value.
    Variable,
    /// The usual file.
    Usual(PathBuf),
    /// The service account of the pod.
    Pod,
}

/// A client for the API server, and the server's address for people; nothing is asked of it yet. The client follows the
/// files with certificates, keys and tokens that it is made from.
///
/// # Errors
/// Names the flag, variable or file that cannot be used.
pub(crate) fn client(settings: &ClusterSettings) -> Result<(Client, String), String> {
    let way = Way::find(settings)?;
    let config = way.config()?;
    let server = without_password(config.cluster_url.to_string());
    let namespace = config.default_namespace.clone();
    Ok((
        Client::new(Following::new(way, &config)?, namespace),
        server,
    ))
}

/// What is wrong with a kubeconfig. The reader of YAML shows lines and values of the file, which may be credentials.
fn told(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(parse) => {
            let place = parse.location().map_or_else(String::new, |place| {
                format!(" from line {}, column {} on", place.line(), place.column())
            });
            format!("expected the YAML of a kubeconfig{place}")
        }
        error => Chain(error).to_string(),
    }
}

/// The cluster of a kubeconfig's context.
fn cluster(file: &Kubeconfig) -> Option<&Cluster> {
    let context = file.current_context.as_deref()?;
    let context = file.contexts.iter().find(|named| named.name == context)?;
    let name = &context.context.as_ref()?.cluster;
    let cluster = file.clusters.iter().find(|named| named.name == *name)?;
    cluster.cluster.as_ref()
}

/// The proxy that a kubeconfig names for its cluster.
fn proxy(file: &Kubeconfig) -> Option<&str> {
    let proxy = cluster(file)?.proxy_url.as_deref();
    proxy.filter(|proxy| !proxy.is_empty())
}

/// The file with the authority of a kubeconfig's cluster, where that is not in the kubeconfig itself.
fn authority(file: &Kubeconfig) -> Option<PathBuf> {
    let cluster = cluster(file)?;
    match cluster.certificate_authority_data {
        None => cluster.certificate_authority.as_ref().map(PathBuf::from),
        Some(_) => None,
    }
}

fn usual_file() -> Option<PathBuf> {
    let file = env::home_dir()?.join(".kube").join("config");
    file.exists().then_some(file)
}

// === impl Way ===

impl Way {
    fn find(settings: &ClusterSettings) -> Result<Self, String> {
        let origin = Origin::find(
            settings,
            env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty()),
            usual_file(),
        );
        let unusable = |error: &KubeconfigError| format!("{}: {}", origin.describe(), told(error));
        let mut kubeconfig = match &origin {
            Origin::Named(path) | Origin::Usual(path) => {
                Some(Kubeconfig::read_from(path).map_err(|error| unusable(&error))?)
            }
            // `None` when every file of the list is empty text, which the search has seen.
            Origin::Variable => {
                let files = Kubeconfig::from_env().map_err(|error| unusable(&error))?;
                Some(files.unwrap_or_default())
            }
            Origin::Pod => None,
        };
        let context = settings.context.clone();
        match (&mut kubeconfig, &context) {
            (Some(file), Some(context)) => file.current_context = Some(context.clone()),
            (None, Some(_)) => {
                return Err(
                    "--kube-context: there is no kubeconfig; give one with --kubeconfig".to_owned(),
                );
            }
            (_, None) => {}
        }
        Ok(Self {
            origin,
            context,
            kubeconfig,
        })
    }

    /// With the files that it names as they are now.
    fn config(&self) -> Result<Config, String> {
        let mut config = match &self.kubeconfig {
            None => Config::incluster().map_err(|error| {
                format!(
                    "no kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config) and not in a pod of a cluster: {}",
                    Chain(&error)
                )
            })?,
            Some(file) => self.config_of(file)?,
        };
        // The client would try a request for minutes behind our backs; whoever asks repeats what helps.
        config.default_retry = false;
        Ok(config)
    }

    fn config_of(&self, file: &Kubeconfig) -> Result<Config, String> {
        let mut config = Config::try_from(file.clone()).map_err(|error| {
            let (origin, told) = (self.origin.describe(), told(&error));
            match &self.context {
                Some(context) => format!("--kube-context {context:?} of {origin}: {told}"),
                None => format!("{origin}: {told}"),
            }
        })?;
        if proxy(file).is_none() {
            config.proxy_url = None;
        }
        config.root_cert_file = authority(file);
        Ok(config)
    }
}

// === impl Origin ===

impl Origin {
    fn find(settings: &ClusterSettings, has_variable: bool, usual: Option<PathBuf>) -> Self {
        match (&settings.kubeconfig, has_variable, usual) {
            (Some(path), _, _) => Self::Named(path.clone()),
            (None, true, _) => Self::Variable,
            (None, false, Some(path)) => Self::Usual(path),
            (None, false, None) => Self::Pod,
        }
    }

    fn describe(&self) -> String {
        let shown = |path: &Path| path.display().to_string();
        match self {
            Self::Named(path) => format!("--kubeconfig {}", shown(path)),
            Self::Variable => "KUBECONFIG".to_owned(),
            Self::Usual(path) => format!("kubeconfig {}", shown(path)),
            Self::Pod => "service account of the pod".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> ClusterSettings {
        ClusterSettings {
            kubeconfig: Some(path.into()),
            context: None,
        }
    }

    #[test]
    fn the_flag_goes_before_the_variable_before_the_usual_file_before_the_pod() {
        let none = ClusterSettings::default();
        let usual = Some(PathBuf::from("/home/a/.kube/config"));
        assert_eq!(
            Origin::find(&named("/a"), true, usual.clone()),
            Origin::Named("/a".into())
        );
        assert_eq!(Origin::find(&none, true, usual.clone()), Origin::Variable);
        assert_eq!(
            Origin::find(&none, false, usual),
            Origin::Usual("/home/a/.kube/config".into())
        );
        assert_eq!(Origin::find(&none, false, None), Origin::Pod);
    }

    #[test]
    fn fault_g11_only_a_proxy_of_the_chosen_cluster_counts() {
        let mut file = Kubeconfig::from_yaml(
            "{current-context: a, contexts: [{name: a, context: {cluster: direct, user: u}}, \
             {name: b, context: {cluster: proxied, user: u}}], \
             clusters: [{name: direct, cluster: {server: 'https://a', proxy-url: ''}}, \
             {name: proxied, cluster: {server: 'https://b', proxy-url: 'http://proxy'}}]}",
        )
        .unwrap();
        assert_eq!(proxy(&file), None);
        file.current_context = Some("b".to_owned());
        assert_eq!(proxy(&file), Some("http://proxy"));
        file.current_context = Some("nobody".to_owned());
        assert_eq!(proxy(&file), None);
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_that_names_the_flag() {
        let error = Way::find(&named("/nowhere/config")).unwrap_err();
        assert!(
            error.starts_with("--kubeconfig /nowhere/config: ") && error.contains("No such file"),
            "{error}"
        );
    }

    #[test]
    fn a_context_that_is_missing_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "apiVersion: v1\nkind: Config\n").unwrap();
        let settings = ClusterSettings {
            context: Some("blue".to_owned()),
            ..named(file.path().to_str().unwrap())
        };
        let error = Way::find(&settings).unwrap().config().unwrap_err();
        assert!(
            error.starts_with("--kube-context \"blue\" of --kubeconfig "),
            "{error}"
        );
    }
}
