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
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use crate::{args::given::without_password, chain::Chain, settings::ClusterSettings};

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

/// A client for the API server, and the server's address for people; nothing is asked of it yet.
///
/// # Errors
/// Names the flag, variable or file that cannot be used.
pub(crate) async fn client(settings: &ClusterSettings) -> Result<(Client, String), String> {
    let mut config = config(settings).await?;
    // The client would try a request for minutes behind our backs; whoever asks repeats what helps.
    config.default_retry = false;
    let server = without_password(config.cluster_url.to_string());
    match Client::try_from(config) {
        Ok(client) => Ok((client, server)),
        Err(error) => Err(format!(
            "cannot make a client for {server}: {}",
            Chain(&error)
        )),
    }
}

async fn config(settings: &ClusterSettings) -> Result<Config, String> {
    let origin = Origin::find(
        settings,
        env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty()),
        usual_file(),
    );
    let unusable = |error: &KubeconfigError| format!("{}: {}", origin.describe(), told(error));
    let file = match &origin {
        Origin::Named(path) | Origin::Usual(path) => {
            Kubeconfig::read_from(path).map_err(|error| unusable(&error))?
        }
        // `None` when every file of the list is empty text, which the search has seen.
        Origin::Variable => Kubeconfig::from_env()
            .map_err(|error| unusable(&error))?
            .unwrap_or_default(),
        Origin::Pod => {
            if settings.context.is_some() {
                return Err(
                    "--kube-context: there is no kubeconfig; give one with --kubeconfig".to_owned(),
                );
            }
            return Config::incluster().map_err(|error| {
                format!(
                    "no kubeconfig (--kubeconfig, KUBECONFIG, ~/.kube/config) and not in a pod of a cluster: {}",
                    Chain(&error)
                )
            });
        }
    };
    let options = KubeConfigOptions {
        context: settings.context.clone(),
        ..KubeConfigOptions::default()
    };
    let names_proxy = proxy(&file, settings.context.as_deref()).is_some();
    let mut config = Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|error| match &settings.context {
            Some(context) => format!(
                "--kube-context {context:?} of {}: {}",
                origin.describe(),
                told(&error)
            ),
            None => unusable(&error),
        })?;
    if !names_proxy {
        config.proxy_url = None;
    }
    Ok(config)
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

/// The proxy that a kubeconfig names for the cluster of a context.
fn proxy<'a>(file: &'a Kubeconfig, context: Option<&'a str>) -> Option<&'a str> {
    let context = context.or(file.current_context.as_deref())?;
    let context = file.contexts.iter().find(|named| named.name == context)?;
    let cluster = &context.context.as_ref()?.cluster;
    let cluster = file.clusters.iter().find(|named| named.name == *cluster)?;
    let proxy = cluster.cluster.as_ref()?.proxy_url.as_deref();
    proxy.filter(|proxy| !proxy.is_empty())
}

fn usual_file() -> Option<PathBuf> {
    let file = env::home_dir()?.join(".kube").join("config");
    file.exists().then_some(file)
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
        let file = Kubeconfig::from_yaml(
            "{current-context: a, contexts: [{name: a, context: {cluster: direct, user: u}}, \
             {name: b, context: {cluster: proxied, user: u}}], \
             clusters: [{name: direct, cluster: {server: 'https://a', proxy-url: ''}}, \
             {name: proxied, cluster: {server: 'https://b', proxy-url: 'http://proxy'}}]}",
        );
        let file = file.unwrap();
        assert_eq!(proxy(&file, None), None);
        assert_eq!(proxy(&file, Some("b")), Some("http://proxy"));
        assert_eq!(proxy(&file, Some("nobody")), None);
    }

    #[tokio::test]
    async fn a_named_file_that_is_missing_is_an_error_that_names_the_flag() {
        let error = config(&named("/nowhere/config")).await.unwrap_err();
        assert!(
            error.starts_with("--kubeconfig /nowhere/config: ") && error.contains("No such file"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_context_that_is_missing_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "apiVersion: v1\nkind: Config\n").unwrap();
        let settings = ClusterSettings {
            context: Some("blue".to_owned()),
            ..named(file.path().to_str().unwrap())
        };
        let error = config(&settings).await.unwrap_err();
        assert!(
            error.starts_with("--kube-context \"blue\" of --kubeconfig "),
            "{error}"
        );
    }
}
