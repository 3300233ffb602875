-- Retention counts from when a row was stored, so that old records that are replayed or backfilled
-- stay as long as others. A part goes as a whole once its last row is due. States are kept.
{{define "retain"}}ALTER TABLE {{local .}}{{on_cluster}} MODIFY TTL toDateTime(stored_at) + INTERVAL {{end}}
{{template "retain" "sign_ins"}}{{setting "event_days"}} DAY;
{{template "retain" "audits"}}{{setting "event_days"}} DAY;
{{template "retain" "risk_detections"}}{{setting "event_days"}} DAY;
{{template "retain" "risky_users"}}{{setting "event_days"}} DAY;
{{template "retain" "provisioning"}}{{setting "event_days"}} DAY;
{{template "retain" "other_events"}}{{setting "event_days"}} DAY;
{{template "retain" "directory_history"}}{{setting "event_days"}} DAY;
{{template "retain" "dead_letters"}}{{setting "dead_letter_days"}} DAY;
{{template "retain" "audit_log"}}{{setting "audit_days"}} DAY;
