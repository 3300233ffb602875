-- Sign-ins for searches. A page is some rows from all over the table, and of each granule that has one of them half is
-- unpacked on the way: granules of 1,024 rows are a quarter of those that 10 MB make. The granularity of a table cannot be
-- changed, so that a new one takes over its parts as they are; merges make the small granules. What a sink of an
-- older release stores meanwhile is copied. A cluster keeps its granules: there the parts would be taken over once for
-- each replica.
{{if not on_cluster}}
DROP TABLE IF EXISTS {{local "sign_ins_next"}} SYNC;
CREATE TABLE {{local "sign_ins_next"}} AS {{local "sign_ins"}}
ENGINE = {{replacing "sign_ins" "version"}}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (tenant_id, occurred_at, id)
TTL toDateTime(stored_at) + INTERVAL {{setting "event_days"}} DAY
SETTINGS ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1, auto_statistics_types = '',
    min_parts_to_merge_at_once = 16, index_granularity = 1024,
    min_bytes_for_wide_part = 1073741824, vertical_merge_algorithm_min_bytes_to_activate = 1073741824;
ALTER TABLE {{local "sign_ins_next"}} ATTACH PARTITION ALL FROM {{local "sign_ins"}};
EXCHANGE TABLES {{local "sign_ins"}} AND {{local "sign_ins_next"}};
INSERT INTO {{local "sign_ins"}} SELECT * FROM {{local "sign_ins_next"}} WHERE stored_at >= now() - INTERVAL 10 MINUTE;
DROP TABLE {{local "sign_ins_next"}} SYNC;
{{end}}
-- Small, as a granule has few different values: they leave out everything for what nobody has, and most for what is rare.
-- by_network has the networks of an address that people ask for: /48 and /64, and as /112 and /120 IPv4's /16 and /24.
ALTER TABLE {{local "sign_ins"}}{{on_cluster}}
    ADD INDEX IF NOT EXISTS by_app_id lower(app_id) TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_app_service_principal_id lower(app_service_principal_id) TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_service_principal_id lower(service_principal_id) TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_country country TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_error_code error_code TYPE bloom_filter(0.01) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_network [tupleElement(IPv6CIDRToRange(ip, 48), 1), tupleElement(IPv6CIDRToRange(ip, 64), 1), tupleElement(IPv6CIDRToRange(ip, 112), 1), tupleElement(IPv6CIDRToRange(ip, 120), 1)] TYPE bloom_filter(0.01) GRANULARITY 1;
