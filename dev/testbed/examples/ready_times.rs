//! Prints how long each real server takes from start to ready, and to be ready again.

use std::time::Instant;

use consul_sync_testbed::{
    ApiServer, Consul, ConsulSettings, ConsulVersion, Etcd, Result, Storage,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let started = Instant::now();
    let etcd = Etcd::start().await?;
    let ready = started.elapsed();
    let started = Instant::now();
    etcd.restart().await?;
    println!(
        "etcd: ready {ready:.2?}, again after a kill {:.2?}",
        started.elapsed()
    );
    drop(etcd);

    let started = Instant::now();
    let api = ApiServer::start().await?;
    let ready = started.elapsed();
    let started = Instant::now();
    api.restart().await?;
    println!(
        "kube-apiserver with etcd: ready {ready:.2?}, again after a kill {:.2?}",
        started.elapsed()
    );
    let started = Instant::now();
    api.stop().await?;
    println!("kube-apiserver: stopped in {:.2?}", started.elapsed());
    drop(api);

    for version in ConsulVersion::ALL {
        for storage in [Storage::Memory, Storage::Disk] {
            for acls in [false, true] {
                let mut settings = ConsulSettings::default();
                settings.version = version;
                settings.storage = storage;
                settings.acls = acls;
                let started = Instant::now();
                let consul = Consul::start_with(settings).await?;
                let ready = started.elapsed();
                let started = Instant::now();
                consul.restart().await?;
                let again = started.elapsed();
                let started = Instant::now();
                consul.stop().await?;
                let stopped = started.elapsed();
                println!(
                    "consul {version}, {storage:?}, acls {acls}: ready {ready:.2?}, \
                     again after a kill {again:.2?}, stopped in {stopped:.2?}"
                );
            }
        }
    }
    Ok(())
}
