/* The gauges of the edge for /metrics: connections and the cache's fill. */
#ifndef SK_EDGE_GAUGES_H
#define SK_EDGE_GAUGES_H

#include "edge/process.h"

/* NAME of the reader, metric, help. */
#define EDGE_GAUGE_TABLE(X)                                                                                  \
    X(connections, "skerry_connections", "Client connections open now")                                      \
    X(objects, "skerry_cache_objects", "Objects in the index")                                               \
    X(fills, "skerry_cache_fills", "Fetches in progress")                                                    \
    X(used_bytes, "skerry_cache_used_bytes", "Bytes of the memory budget in use")                            \
    X(budget_bytes, "skerry_cache_budget_bytes", "The memory budget")                                        \
    X(guest_bytes, "skerry_cache_guest_bytes", "Bytes of hot objects that belong to other nodes")            \
    X(evicted_objects, "skerry_cache_evicted_objects", "Objects evicted since the start")                    \
    X(evicted_bytes, "skerry_cache_evicted_bytes", "Bytes evicted since the start")                          \
    X(rejected_objects, "skerry_cache_rejected_objects", "Objects for which no room could be made")          \
    X(fleet_configuration, "skerry_fleet_configuration", "The number of the fleet's configuration in force") \
    X(bus_silent, "skerry_bus_silent", "1 while nobody is heard on the fleet's purge bus")                   \
    X(bus_heard, "skerry_bus_heard_seconds", "How long ago somebody was heard on it")                        \
    X(variant_bounds, "skerry_cache_variant_bounds",                                                         \
      "Times that a URL had too many variants and its list was begun anew")                                  \
    X(disk_devices, "skerry_disk_devices", "Devices of the SSD tier in service")                             \
    X(disk_failed, "skerry_disk_devices_failed", "Devices of the SSD tier out of service")                   \
    X(disk_bytes, "skerry_disk_bytes", "Room of the SSD tier's devices in service")                          \
    X(disk_free_bytes, "skerry_disk_free_bytes", "Of these, in segments that hold nothing")                  \
    X(disk_records, "skerry_disk_records", "Records in the SSD tier's index")                                \
    X(disk_index_bytes, "skerry_disk_index_bytes", "Memory of the SSD tier's index")                         \
    X(disk_puts, "skerry_disk_puts", "Records put into the SSD tier")                                        \
    X(disk_put_bytes, "skerry_disk_put_bytes", "What they take")                                             \
    X(disk_refused, "skerry_disk_refused",                                                                   \
      "Records refused: the devices did not keep up, or the write limit was reached")                        \
    X(disk_flushed, "skerry_disk_flushed", "Times that what was put was made safe")                          \
    X(disk_amplification, "skerry_disk_write_amplification",                                                 \
      "Bytes written to the SSD tier's devices for each byte of records put")                                \
    X(disk_written_bytes, "skerry_disk_written_bytes", "Bytes written to the SSD tier's devices")            \
    X(disk_read_bytes, "skerry_disk_read_bytes", "Bytes read from the SSD tier's devices")                   \
    X(disk_reinserted, "skerry_disk_reinserted",                                                             \
      "Records written again when their segment was taken back: they were asked for")                        \
    X(disk_reclaimed, "skerry_disk_reclaimed", "Segments taken back")                                        \
    X(disk_damaged, "skerry_disk_damaged", "Records that failed a checksum, and were dropped")               \
    X(disk_read_errors, "skerry_disk_read_errors", "Reads that a device failed")                             \
    X(disk_write_errors, "skerry_disk_write_errors", "Writes that a device failed")                          \
    X(disk_purged, "skerry_disk_purged", "Records found that a purge had hit")                               \
    X(disk_unproven, "skerry_disk_unproven",                                                                 \
      "Records found that had to be validated because purges may have been lost")

void edge_gauges_register(struct edge_process *process);
void edge_gauges_remove(struct edge_process *process);

#endif
