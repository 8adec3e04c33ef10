//! Rights to make namespaces of Consul Enterprise.

use consul_sync_consul::{
    ClientSettings, ConsulSink, Secret, SinkSettings, TokenSource, preflight,
    testing::{DefaultPolicy, FakeConsul, Namespace, Right, Rules},
};
use consul_sync_core::Sink;

use super::{
    namespaces::{asked, creates, refusal, service_in},
    support::{NODE, kinds, settings, sink_of},
};

/// An Enterprise whose token `few` has the rights that writing takes without namespaces.
async fn guarded() -> FakeConsul {
    FakeConsul::builder()
        .enterprise()
        .acl(DefaultPolicy::Deny)
        .token("few", Rules::sync(NODE))
        .start()
        .await
        .unwrap()
}

fn sink_with_few(consul: &FakeConsul, change: impl Fn(&mut SinkSettings)) -> ConsulSink {
    let mut settings = settings();
    change(&mut settings);
    let token = |client: &mut ClientSettings| {
        client.token = TokenSource::Value(Secret::new("few"));
    };
    sink_of(&consul.url(), token, settings)
}

#[tokio::test]
async fn a_namespace_that_may_not_be_made_leaves_the_others_written() {
    let consul = guarded().await;
    for name in ["bank", "shop"] {
        let name = name.to_owned();
        let namespace = Namespace {
            name,
            ..Namespace::default()
        };
        consul.put_namespace(namespace).unwrap();
    }
    let with = |policy: Option<&str>| {
        sink_with_few(&consul, |settings| {
            settings.namespace = Some("default".into());
            settings.all_namespaces = true;
            settings.namespace_policy = policy.map(str::to_owned);
        })
    };
    let sink = with(None);
    let services = [
        service_in("bank", "a", 1),
        service_in("mall", "b", 2),
        service_in("shop", "c", 1),
        service_in("mall", "d", 1),
    ];
    let ops = creates(&sink, &services);
    let outcomes = sink.apply(&ops).await.unwrap();
    assert_eq!(
        kinds(&outcomes),
        ["written", "refused", "skipped", "written", "refused"]
    );
    let why = refusal(&outcomes[1]);
    assert!(
        why.contains("\"mall\"") && why.contains("operator = \"write\""),
        "{why}"
    );
    assert!(!why.contains("acl = "), "{why}");
    // Once a batch, and not once an operation.
    assert_eq!(asked(&consul), (3, 1));

    // With a policy another right is needed, too.
    consul.put_token("few", Rules::sync(NODE).operator(Right::Write));
    let sink = with(Some("cross-namespace"));
    let outcomes = sink.apply(&ops[1..2]).await.unwrap();
    let why = refusal(&outcomes[0]);
    assert!(
        why.contains("operator = \"write\" acl = \"write\""),
        "{why}"
    );
    consul.put_token(
        "few",
        Rules::sync(NODE).operator(Right::Write).acl(Right::Write),
    );
    assert_eq!(kinds(&sink.apply(&ops[1..2]).await.unwrap()), ["written"]);
}

#[tokio::test]
async fn the_rights_to_make_namespaces_are_looked_for_where_they_are_needed() {
    let consul = guarded().await;
    let check = async |change: &dyn Fn(&mut SinkSettings)| -> Vec<String> {
        let sink = sink_with_few(&consul, change);
        let findings = preflight(&sink).await;
        let bad = findings.into_iter().filter(|finding| !finding.good);
        bad.map(|finding| finding.message).collect()
    };
    let lacks = |right: &str| format!("the token lacks {right} = \"write\"");
    let shop = |settings: &mut SinkSettings| settings.namespace = Some("shop".into());
    let nothing: [String; 0] = [];
    assert_eq!(check(&|_| ()).await, nothing);
    assert_eq!(
        check(&|s| s.namespace = Some("default".into())).await,
        nothing
    );
    assert_eq!(check(&shop).await, [lacks("operator")]);
    let with_policy = |settings: &mut SinkSettings| {
        shop(settings);
        settings.namespace_policy = Some("p".into());
    };
    assert_eq!(check(&with_policy).await, [lacks("operator"), lacks("acl")]);
    let off = |settings: &mut SinkSettings| {
        shop(settings);
        settings.create_namespaces = false;
    };
    assert_eq!(check(&off).await, nothing);
    let namespace = Namespace {
        name: "shop".into(),
        ..Namespace::default()
    };
    consul.put_namespace(namespace).unwrap();
    assert_eq!(check(&with_policy).await, nothing);
    let every = |settings: &mut SinkSettings| {
        shop(settings);
        settings.all_namespaces = true;
    };
    assert_eq!(check(&every).await, [lacks("operator")]);
    assert_eq!(asked(&consul).1, 0);
}
