package bench

// fillStatement makes sign-ins as a tenant of many users has them: time-ordered with some minutes of disorder, few users
// and applications make most, some addresses are those of offices, one in ten is an application's own, and three small
// tenants have six in a hundred. Every value derives from the sign-in's number, so that one that is stored again is the same.
//
//nolint:gochecknoglobals // a constant but for the call
var fillStatement = `INSERT INTO sign_ins (
	tenant_id, occurred_at, id, version, kind, data_type, category, source, source_id, integration, observed_at, stored_at,
	stream_sequence, raw, is_interactive, user_id, user_principal_name, user_key, user_display_name, user_type,
	service_principal_id, service_principal_name, app_id, app_display_name, resource_id, resource_display_name, client_app_used,
	user_agent, device_id, device_display_name, device_operating_system, device_browser, device_is_compliant, ip, ip_address,
	autonomous_system_number, city, country, latitude, longitude, outcome, error_code, failure_reason,
	conditional_access_status, authentication_requirement, correlation_id, original_request_id, unique_token_identifier, session_id
) WITH
	{from:UInt64} + number * {every:UInt64} AS n,
	sipHash64(n, 1) AS h1, sipHash64(n, 2) AS h2, sipHash64(n, 3) AS h3, sipHash64(n, 4) AS h4,
	toInt64({start:Int64} + n * 2592000000 / {signins:UInt64} - h1 % 600000) AS at,
	if(n % 50 < 3, n % 50 + 1, 0) AS small,
	concat('0b5d4e3c-0000-4000-8000-00000000000', toString(small)) AS tenant,
	toUInt64(if(small = 0, 200000, 500) * pow(h2 / 18446744073709551616., 3)) AS u,
	n % 10 = 9 AS of_app,
	if(of_app, '', concat('User.', leftPad(toString(u), 6, '0'), if(small = 0, '@contoso.example', concat('@small', toString(small), '.example')))) AS upn,
	if(of_app, '', concat('User ', toString(u))) AS display,
	if(of_app, '', concat('1111111', toString(small), '-0000-4000-8000-', leftPad(lower(hex(u * 7919)), 12, '0'))) AS uid,
	toUInt64(500 * pow((h2 % 1000003) / 1000003., 2) * (h3 % 1009) / 1009.) AS a,
	concat('22222222-0000-4000-8000-', leftPad(toString(a), 12, '0')) AS app,
	concat('Application ', toString(a)) AS app_name,
	multiIf(h3 % 10 < 3, concat('198.51.100.', toString(u % 20 + 1)),
		h3 % 20 = 19, concat('2001:db8:', lower(hex(toUInt16(u % 65536))), '::', toString(n % 4 + 1)),
		IPv4NumToString(toUInt32(184549376 + small * 1048576 + u * 4 + n % 4))) AS address,
	arrayElement(['DE','US','GB','FR','NL','IN','JP','BR','SE','ES','IT','PL','AT','CH','BE','DK','NO','FI','CZ','PT'],
		toUInt64(20 * pow((h3 % 1000) / 1000., 3)) + 1) AS land,
	multiIf(h4 % 100 < 90, 0, h4 % 100 < 97,
		arrayElement([50126,53003,50053,50055,50057,700016,65001,90094,50105,50020,81010,50034], toUInt64(12 * pow((h4 % 997) / 997., 3)) + 1),
		arrayElement([50074,50076,50079,16000], h4 % 4 + 1)) AS code,
	multiIf(of_app, 'signin.service_principal', n % 10 < 6, 'signin.non_interactive', 'signin.interactive') AS of_type,
	multiIf(of_app, 'ServicePrincipalSignInLogs', n % 10 < 6, 'NonInteractiveUserSignInLogs', 'SignInLogs') AS of_category,
	multiIf(of_app, 'servicePrincipal', n % 10 < 6, 'nonInteractiveUser', 'interactiveUser') AS event_type,
	fromUnixTimestamp64Milli(at, 'UTC') AS moment,
	concat(replaceOne(toString(moment), ' ', 'T'), 'Z') AS time,
	toString(UUIDNumToString(sipHash128(n, 5))) AS source,
	toString(UUIDNumToString(sipHash128(n, 6))) AS correlation,
	lower(hex(sipHash128(n, 7))) AS token,
	concat('33333333-0000-4000-8000-', leftPad(toString(u), 12, '0')) AS device,
	arrayElement(['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0',
		'Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X)', 'python-requests/2.31.0'], h3 % 3 + 1) AS agent
SELECT tenant, moment, lower(hex(sipHash128(n, 8))), 9223372036854775808 + toUInt64(at) * 2097152 + {version:UInt64}, 'signin', of_type,
	of_category, 'event_hub', source, 'bench', moment + 90, moment + 91,
	n + 1, ` + rawSQL() + `, event_type = 'interactiveUser', uid, upn, lower(upn), display, 'member',
	if(of_app, concat('44444444-0000-4000-8000-', leftPad(toString(a), 12, '0')), ''), if(of_app, app_name, ''),
	app, app_name, '00000003-0000-0000-c000-000000000000', 'Microsoft Graph', 'Browser',
	agent, device, concat('PC-', toString(u)), 'Windows 10', 'Edge 120.0', true, toIPv6(address), address,
	64496, concat('City ', land), land, 52.5, 13.4, multiIf(code = 0, 'success', code IN (50074, 50076, 50079, 16000), 'interrupted', 'failure'),
	code, if(code = 0, '', 'Refused.'),
	'success', 'multiFactorAuthentication', correlation, source, token, correlation
FROM numbers({count:UInt64})`
