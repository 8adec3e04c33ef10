node "k8s-sync" { policy = "write" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "write" }
key_prefix "consul-sync/" { policy = "write" }
session "k8s-sync" { policy = "write" }
