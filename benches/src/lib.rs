//! Benchmarks of consul-sync; run them with `cargo bench -p consul-sync-benches`.
//!
//! Timing belongs here and not in tests, which count work instead.
