//! Replies about domains, as seen live; no document shows all of their fields.

#![allow(clippy::unwrap_used)] // in tests

use serde_json::json;
use smtp2go_types::{DomainListResponse, UnknownMembers};

#[test]
fn live_replies_decode_with_every_member_typed() {
    let verified = json!({
        "request_id": "b2b2c3d4-0000-4000-8000-1234567890ab",
        "data": {"domains": [{
            "domain": {
                "fulldomain": "mail.example.com", "subdomain": "mail", "domain": "example",
                "suffix": "com", "dkim_selector": "s100001", "dkim_verified": true,
                "dkim_status": "Target: dkim.smtp2go.net", "dkim_value": "dkim.smtp2go.net",
                "dkim_expected": "dkim.smtp2go.net", "rpath_selector": "em100001",
                "rpath_verified": true, "rpath_status": "Target: return.smtp2go.net",
                "rpath_value": "return.smtp2go.net", "rpath_expected": "return.smtp2go.net",
                "registrar": "Example Registry", "setup_link": "unavailable"
            },
            "trackers": [{
                "fulldomain": "link.mail.example.com", "subdomain": "link", "domain": "example",
                "suffix": "com", "cname_verified": true, "cname_status": "Target: track.smtp2go.net",
                "cname_value": "track.smtp2go.net", "cname_expected": "track.smtp2go.net",
                "enabled": true, "ssl_status": "issued: 1781506040"
            }],
            "subaccount_access": {"subaccounts": [], "future_subaccounts": false},
            "from_master": false
        }]}
    });
    let added = json!({
        "request_id": "b2b2c3d4-0000-4000-8000-1234567890ac",
        "data": {"domains": [{
            "domain": {
                "fulldomain": "example.org", "subdomain": null, "domain": "example",
                "suffix": "org", "dkim_selector": "s100002", "dkim_verified": false,
                "dkim_status": "No CNAME record:\nexample.org", "dkim_value": "",
                "dkim_expected": "dkim.smtp2go.net", "rpath_selector": "em100002",
                "rpath_verified": false, "rpath_status": "", "rpath_value": "",
                "rpath_expected": "return.smtp2go.net", "registrar": ""
            },
            "trackers": [{
                "fulldomain": "link.example.org", "subdomain": "link", "domain": "example",
                "suffix": "org", "cname_verified": false, "cname_status": "", "cname_value": "",
                "cname_expected": "track.smtp2go.net", "enabled": false, "ssl_status": ""
            }],
            "subaccount_access": null
        }]}
    });
    for (reply, verified, enabled, expected) in [
        (verified, true, true, ["dkim", "return", "track"]),
        (added, false, false, ["dkim", "return", "track"]),
    ] {
        let decoded: DomainListResponse = serde_json::from_value(reply).unwrap();
        assert_eq!(decoded.unknown_members(), [] as [&str; 0]);
        let list = decoded.data.unwrap();
        let [entry] = list.domains.try_into().unwrap();
        let domain = entry.domain.unwrap();
        let [tracker] = entry.trackers.try_into().unwrap();
        let both = (domain.dkim_verified, domain.rpath_verified);
        assert_eq!(both, (Some(verified), Some(verified)));
        assert_eq!(tracker.enabled, Some(enabled));
        let targets = [
            domain.dkim_expected,
            domain.rpath_expected,
            tracker.cname_expected,
        ];
        let expected = expected.map(|name| Some(format!("{name}.smtp2go.net")));
        assert_eq!(targets, expected);
        assert_eq!(tracker.ssl_status.unwrap().is_empty(), !enabled);
        assert_eq!(domain.registrar.unwrap().is_empty(), !verified);
    }
}
