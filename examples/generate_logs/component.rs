//! Lines of Envoy and pilot-agent between the rows.

use crate::random::Random;
use postmesh::units::Timestamp;
use std::io::{self, Write};

/// One message in so many rows outside the burst.
const EVERY_ROWS: u64 = 200;
/// Debug lines after each row within the burst.
const BURST_LINES: u64 = 12;

const MESSAGES: [&str; 5] = [
    "\twarning\tenvoy config external/envoy/source/extensions/config_subscription/grpc/grpc_stream.h:155\tDeltaAggregatedResources gRPC config stream to xds-grpc closed: 14, connection error: desc = \"transport: Error while dialing: dial tcp 10.96.0.10:15012: connect: connection refused\"\tthread=19\n",
    "\tinfo\tenvoy upstream external/envoy/source/common/upstream/cds_api_helper.cc:32\tcds: add 43 cluster(s), remove 7 cluster(s)\tthread=19\n",
    "\tinfo\txdsproxy\tconnected to delta upstream XDS server: istiod.istio-system.svc:15012\tid=7\n",
    "\twarn\tca\tca request failed, starting attempt 1 in 93.2ms\n",
    "\terror\tenvoy connection external/envoy/source/common/network/socket_impl.cc:190\tsocket(2) failed, got error: Too many open files\tthread=27\n    #0: Envoy::SignalAction::sigHandler() [0x55d0c2a1]\n    #1: __restore_rt [0x7f21a1be]\n    #2: start_thread [0x7f21a2ff]\n",
];
const DEBUG: [&str; 3] = [
    "\tdebug\tenvoy http external/envoy/source/common/http/conn_manager_impl.cc:1183\t[Tags: \"ConnectionId\":\"2057\",\"StreamId\":\"5193004455113\"] request headers complete (end_stream=true):\n':authority', 'orders.shop.svc.cluster.local:8080'\n':path', '/api/v1/items/1'\n':method', 'GET'\n'user-agent', 'okhttp/4.12.0'\n\tthread=27\n",
    "\tdebug\tenvoy pool external/envoy/source/common/conn_pool/conn_pool_base.cc:265\t[Tags: \"ConnectionId\":\"1201\"] using existing fully connected connection\tthread=27\n",
    "\tdebug\tenvoy router external/envoy/source/common/router/router.cc:1594\t[Tags: \"ConnectionId\":\"2057\",\"StreamId\":\"5193004455113\"] upstream headers complete: end_stream=false\tthread=27\n",
];

/// Appends the component messages that follow a row, and says how many there are.
pub(crate) fn write(random: &mut Random, now_ms: i64, burst: bool, out: &mut Vec<u8>) -> io::Result<u64> {
    if !burst {
        return if random.one_in(EVERY_ROWS) {
            message(random, now_ms, &MESSAGES, out)
        } else {
            Ok(0)
        };
    }
    (0..BURST_LINES)
        .map(|_| message(random, now_ms, &DEBUG, out))
        .sum()
}

fn message(random: &mut Random, now_ms: i64, texts: &[&str], out: &mut Vec<u8>) -> io::Result<u64> {
    let text = texts.get(random.index(texts.len())).copied().unwrap_or("\n");
    write!(out, "{}{text}", Timestamp::from_millis(now_ms))?;
    Ok(1)
}
