//! Rights that are missing: nothing is told to be gone that is only hidden.

use std::time::Duration;

use consul_sync_consul::{
    Secret, TokenSource, preflight_source,
    testing::{DefaultPolicy, FakeConsul, Right, Rules},
};
use consul_sync_core::ErrorKind;

use super::{
    catalog::{put, with_nodes},
    support::{Told, source, source_with},
};

const TOKEN: &str = "5e7c9a40-0000-4000-8000-000000000001";

fn reader() -> Rules {
    Rules::new()
        .service_prefix("", Right::Read)
        .node_prefix("", Right::Read)
}

async fn guarded() -> FakeConsul {
    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token(TOKEN, reader());
    let consul = with_nodes(consul.start().await.unwrap());
    put(&consul, "web", 2);
    put(&consul, "db", 1);
    consul
}

async fn told(consul: &FakeConsul, queries: usize) -> Told {
    let token = TokenSource::Value(Secret::new(TOKEN));
    let source = source_with(&consul.url(), |c| c.token = token, |s| s.queries = queries);
    Told::listed(&source).await
}

#[tokio::test]
async fn fault_c09_a_service_that_is_hidden_is_not_gone() {
    for (queries, rules) in [
        (
            128,
            Rules::new()
                .node_prefix("", Right::Read)
                .service("db", Right::Read),
        ),
        (
            0,
            Rules::new()
                .node_prefix("", Right::Read)
                .service("db", Right::Read),
        ),
        (128, Rules::new().service_prefix("", Right::Read)),
        (0, Rules::new().service_prefix("", Right::Read)),
    ] {
        let consul = guarded().await;
        let mut told = told(&consul, queries).await;
        consul.put_token(TOKEN, rules);
        // Something moves, so that Consul answers with what is left.
        put(&consul, "db", 2);
        told.until(|told| !told.errors.is_empty()).await;
        assert_eq!(told.errors[0].0, ErrorKind::Unauthorized);
        assert!(
            told.errors[0]
                .1
                .contains("node_prefix \"\" { policy = \"read\" }")
        );
        told.until_quiet(Duration::from_secs(1)).await;
        assert_eq!((told.gone.len(), told.listings), (0, 1));
        consul.put_token(TOKEN, reader());
        told.until(|told| told.listings == 2).await;
        assert_eq!((told.count("web"), told.count("db")), (Some(2), Some(2)));
        assert_eq!(told.gone, [] as [String; 0]);
    }
}

#[tokio::test]
async fn fault_c09_without_a_token_an_empty_catalog_is_not_believed() {
    let consul = guarded().await;
    let source = source(&consul.url(), |_| ());
    let mut told = Told::by(&source);
    told.until(|told| !told.errors.is_empty()).await;
    assert_eq!(told.errors[0].0, ErrorKind::Unauthorized);
    assert!(
        told.errors[0].1.contains("service_prefix"),
        "{:?}",
        told.errors
    );
    assert_eq!(told.listings, 0);
    consul.put_token("", reader());
    told.until(|told| told.listings == 1).await;
    assert_eq!(told.names(), ["db", "web"]);
}

#[tokio::test]
async fn fault_c09_without_a_token_what_vanishes_is_only_gone_if_it_could_be_seen() {
    for queries in [128, 0] {
        let consul = guarded().await;
        consul.put_token("", reader());
        let source = source(&consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        consul.put_token("", Rules::new());
        put(&consul, "web", 3);
        told.until(|told| !told.errors.is_empty()).await;
        assert_eq!(told.errors[0].0, ErrorKind::Unauthorized);
        assert_eq!(told.gone, [] as [String; 0]);
        consul.put_token("", reader());
        told.until(|told| told.count("web") == Some(3)).await;
        consul.remove_instance("n1", "db-1");
        told.until(|told| told.gone == ["db"]).await;
    }
}

#[tokio::test]
async fn fault_c10_a_token_that_is_deleted_while_queries_are_held_takes_nothing_away() {
    for queries in [128, 0] {
        let consul = guarded().await;
        let mut told = told(&consul, queries).await;
        consul.revoke_token(TOKEN);
        put(&consul, "web", 3);
        told.until(|told| told.kinds().contains(&ErrorKind::Unauthorized))
            .await;
        told.until_quiet(Duration::from_secs(1)).await;
        assert_eq!((told.gone.len(), told.listings), (0, 1));
        consul.put_token(TOKEN, reader());
        told.until(|told| told.listings == 2).await;
        assert_eq!(
            (told.names(), told.count("web")),
            (vec!["db", "web"], Some(3))
        );
    }
}

#[tokio::test]
async fn fault_c09_before_the_start_rights_on_some_names_are_told_to_be_too_few() {
    let consul = guarded().await;
    let some = Rules::new()
        .node_prefix("", Right::Read)
        .service_prefix("web", Right::Read);
    for (rules, missing) in [
        (reader(), None),
        (some, Some("service_prefix")),
        (
            Rules::new().service_prefix("", Right::Read),
            Some("node_prefix"),
        ),
    ] {
        consul.put_token(TOKEN, rules);
        let token = TokenSource::Value(Secret::new(TOKEN));
        let source = source_with(&consul.url(), |c| c.token = token, |_| ());
        let findings = preflight_source(&source).await;
        let bad: Vec<_> = findings.iter().filter(|finding| !finding.good).collect();
        let Some(missing) = missing else {
            assert!(bad.is_empty() && findings.len() == 4, "{findings:?}");
            continue;
        };
        assert_eq!(bad.len(), 1, "{findings:?}");
        let rule = format!("{missing} \"\" {{ policy = \"read\" }}");
        assert_eq!(bad[0].message, format!("the token lacks {rule}"));
        let remedy = bad[0].remedy.as_deref().unwrap_or_default();
        assert!(
            remedy.starts_with(&format!("add to the token's policy: {rule}"))
                && remedy.contains("rights on some names are not enough"),
            "{remedy}"
        );
    }
}
