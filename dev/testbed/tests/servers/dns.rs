//! Names: what Consul answers by itself, and what a server in front of it does.

use std::net::IpAddr;
use std::time::Duration;

use consul_sync_testbed::{
    ApiServer, Consul, ConsulVersion, CoreDns, Error, Program, Programs, Result,
    dns::{self, Answer, Kind},
};
use serde_json::json;

use super::{SERVICES, each_version, service};

#[tokio::test]
async fn consul_answers_dns_for_what_is_registered() -> Result<()> {
    each_version(async |version| {
        let consul = Consul::start(version).await?;
        let registration = json!({
            "Node": "outside",
            "Address": "10.1.2.3",
            "Service": { "Service": "web", "Port": 80 },
        });
        consul
            .client()
            .put("/v1/catalog/register", &registration)
            .await?
            .success()?;
        let expected: IpAddr = [10, 1, 2, 3].into();
        for name in ["web.service.consul", "web.service.dc1.dc.consul"] {
            assert_eq!(consul.resolve(name).await?, [expected], "{version} {name}");
        }
        // Without namespaces it knows no name that has one.
        assert_eq!(
            consul.resolve("web.service.default.ns.consul").await?,
            [] as [IpAddr; 0],
            "{version}"
        );
        assert_eq!(
            consul.resolve("nobody.service.consul").await?,
            [] as [IpAddr; 0],
            "{version}"
        );
        Ok(())
    })
    .await
}

/// Asks for the addresses of a Service until there are some, for a while: its server follows the cluster.
async fn addresses(server: &CoreDns, service: &str) -> Result<Answer> {
    let name = format!("{service}.default.svc.cluster.local");
    let mut answer = dns::ask(server.dns_addr(), &name, Kind::A).await?;
    for _ in 0..500 {
        if !answer.addresses().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = dns::ask(server.dns_addr(), &name, Kind::A).await?;
    }
    Ok(answer)
}

#[tokio::test]
async fn coredns_answers_for_services_and_follows_an_alias_to_consul() -> Result<()> {
    let version = ConsulVersion::default();
    let needed = [
        Program::Etcd,
        Program::KubeApiserver,
        Program::Consul(version),
        Program::CoreDns,
    ];
    if !Programs::locate().all_or_skip(&needed) {
        return Ok(());
    }
    let (api, consul) = tokio::try_join!(ApiServer::start(), Consul::start(version))?;
    let server = CoreDns::start(&api, &consul).await?;
    let own = addresses(&server, "kubernetes").await?;
    assert_eq!(own.addresses(), [IpAddr::from([10, 0, 0, 1])]);

    let mut alias = service("consul");
    alias["spec"] = json!({ "type": "ExternalName", "externalName": "consul.service.consul" });
    api.client().post(SERVICES, &alias).await?.success()?;
    let followed = addresses(&server, "consul").await?;
    assert_eq!(followed.targets(), ["consul.service.consul"]);
    assert_eq!(followed.addresses(), [IpAddr::from([127, 0, 0, 1])]);

    server.kill()?;
    let name = "nobody.default.svc.cluster.local";
    assert!(matches!(
        dns::ask(server.dns_addr(), name, Kind::A).await,
        Err(Error::Unanswered { .. })
    ));
    server.restart().await?;
    let unknown = dns::ask(server.dns_addr(), name, Kind::A).await?;
    assert_eq!((unknown.code, unknown.records.len()), (3, 0));
    Ok(())
}
