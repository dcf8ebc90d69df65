//! The store on both engines.

#[path = "../support/cluster.rs"]
mod cluster;

use cluster::Cluster;

#[test]
fn killed_cluster_starts_again() {
    let Some(cluster) = Cluster::start(true) else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    cluster.database();
    cluster.kill();
    cluster.up();
    cluster.database();
}
