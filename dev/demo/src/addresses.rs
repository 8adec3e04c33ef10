//! What there is to look at, and to try, while everything is left running.

use crate::{report::Report, servers::Servers, stage::Stage, world::NAMESPACE};

/// Prints where everything is and a change to try.
pub(crate) fn print(stage: &Stage, report: &mut Report) {
    let admin = stage.program.admin_url();
    report.heading("Everything is left running; ctrl-C stops it");
    report.fact(
        "consul-sync",
        format_args!("{admin}/metrics  {admin}/readyz?verbose"),
    );
    if stage.servers.are_real() {
        real(&stage.servers, report);
    } else {
        embedded(&stage.servers, report);
    }
}

fn real(servers: &Servers, report: &mut Report) {
    let access = servers.administrator();
    let kubeconfig = access.kubeconfig.display();
    let consul = servers.consul_url();

    report.fact("Consul", format_args!("{consul}/ui/"));
    if let Some(token) = access.consul_token {
        report.fact(
            "",
            format_args!("token {token} for changes; looking needs none"),
        );
    }
    if let Some(dns) = servers.dns() {
        report.fact(
            "DNS",
            format_args!("dig @{} -p {} web.service.consul", dns.ip(), dns.port()),
        );
    }
    if let Some(dns) = servers.cluster_dns() {
        report.fact(
            "",
            format_args!(
                "dig @{} -p {} reports.default.svc.cluster.local",
                dns.ip(),
                dns.port()
            ),
        );
    }
    report.fact("API server", servers.api_url());
    report.fact("kubeconfig", kubeconfig);

    report.heading("To try");
    report.command(format_args!(
        "export KUBECONFIG={}",
        access.kubeconfig.display()
    ));
    report.command(format_args!(
        "kubectl -n {NAMESPACE} annotate --overwrite service web consul.hashicorp.com/service-tags=mine"
    ));
    report.command(format_args!(
        "curl -s '{consul}/v1/catalog/service/web?pretty'"
    ));
}

/// The embedded servers have no UI and no discovery, which `kubectl` needs.
fn embedded(servers: &Servers, report: &mut Report) {
    let (api, consul) = (servers.api_url(), servers.consul_url());
    report.fact(
        "Consul",
        format_args!("{consul}/v1/catalog/services?pretty"),
    );
    report.fact("API server", format_args!("{api}/api/v1/services"));
    report.fact("kubeconfig", servers.administrator().kubeconfig.display());

    report.heading("To try");
    report.command(format_args!(
        "curl -s -o /dev/null -X PATCH {api}/api/v1/namespaces/{NAMESPACE}/services/web \\"
    ));
    report.block("    -H 'content-type: application/merge-patch+json' \\");
    report.block(
        r#"    -d '{"metadata":{"annotations":{"consul.hashicorp.com/service-tags":"mine"}}}'"#,
    );
    report.command(format_args!(
        "curl -s '{consul}/v1/catalog/service/web?pretty'"
    ));
}
