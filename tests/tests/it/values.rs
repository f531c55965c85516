//! Variables and resources as the clients use them, and the key that they are sealed with.

use serde_json::{Value, json};
use wasmill_tests::{Answer, Home, Host, found_below, guest, shared};

fn send(host: &Host, method: &str, route: &str, body: Option<&Value>) -> Answer {
    let request = host.request(method, &format!("/api/w/main/{route}"));
    match body {
        Some(body) => request.json(body).send(),
        None => request.send(),
    }
}

fn get(host: &Host, route: &str) -> Value {
    let answer = send(host, "GET", route, None);
    assert_eq!(answer.status, 200, "{route}: {answer:?}");
    answer.json()
}

fn post(host: &Host, route: &str, body: &Value) -> (u16, String) {
    let answer = send(host, "POST", route, Some(body));
    (answer.status, answer.text())
}

#[test]
fn life_of_a_variable() {
    let host = shared();
    let at = "u/vars/key";
    // As the Python client sets one: the 404 of `get` chooses between making and changing.
    assert!(send(&host, "GET", &format!("variables/get/{at}"), None).problem(404).contains(at));
    assert_eq!(get(&host, &format!("variables/exists/{at}")), json!(false));
    let new =
        json!({"path": at, "value": "first \"é\"", "is_secret": true, "description": "for tests"});
    assert_eq!(post(&host, "variables/create", &new), (201, format!("variable {at} created")));
    assert!(send(&host, "POST", "variables/create", Some(&new)).problem(409).contains("exists"));
    assert_eq!(get(&host, &format!("variables/get_value/{at}")), json!("first \"é\""));
    let shown = get(&host, &format!("variables/get/{at}"));
    for (key, value) in [
        ("path", json!(at)),
        ("value", json!("first \"é\"")),
        ("is_secret", json!(true)),
        ("description", json!("for tests")),
    ] {
        assert_eq!(shown[key], value, "{shown}");
    }
    assert_eq!(
        get(&host, &format!("variables/get/{at}?decrypt_secret=false"))["value"],
        Value::Null
    );
    let sealed = get(
        &host,
        &format!("variables/get/{at}?decrypt_secret=false&include_encrypted=true"),
    )["value"]
        .clone();
    assert!(sealed.as_str().is_some_and(|text| text.len() > 40), "{sealed}");
    let listed = |host: &Host| get(host, "variables/list?path_start=u/vars/k");
    assert_eq!((&listed(&host)[0]["path"], &listed(&host)[0]["value"]), (&json!(at), &Value::Null));

    assert_eq!(post(&host, &format!("variables/update/{at}"), &json!({"value": "second"})).0, 200);
    assert_eq!(get(&host, &format!("variables/get_value/{at}")), json!("second"));
    // What was sealed for a path can be given back to it, and to no other.
    assert_eq!(
        post(
            &host,
            &format!("variables/update/{at}?already_encrypted=true"),
            &json!({"value": sealed})
        )
        .0,
        200
    );
    assert_eq!(get(&host, &format!("variables/get_value/{at}")), json!("first \"é\""));
    let elsewhere = json!({"path": "u/vars/k2", "value": sealed, "is_secret": true});
    assert!(
        send(&host, "POST", "variables/create?already_encrypted=true", Some(&elsewhere))
            .problem(400)
            .contains("u/vars/k2")
    );
    // A secret becomes none only together with a new text.
    assert!(
        send(&host, "POST", &format!("variables/update/{at}"), Some(&json!({"is_secret": false})))
            .problem(400)
            .contains("is_secret")
    );
    assert_eq!(
        post(
            &host,
            &format!("variables/update/{at}"),
            &json!({"is_secret": false, "value": "open"})
        )
        .0,
        200
    );
    assert_eq!(listed(&host)[0]["value"], json!("open"));

    assert_eq!(
        post(
            &host,
            &format!("variables/update/{at}"),
            &json!({"path": "u/vars/moved", "description": "new"})
        )
        .0,
        200
    );
    send(&host, "GET", &format!("variables/get_value/{at}"), None).problem(404);
    let moved = get(&host, "variables/get/u/vars/moved");
    assert_eq!(
        (&moved["value"], &moved["description"], &moved["edited_by"]),
        (&json!("open"), &json!("new"), &json!("admin"))
    );
    assert_eq!(
        send(&host, "DELETE", "variables/delete/u/vars/moved", None).text(),
        "variable u/vars/moved deleted"
    );
    send(&host, "DELETE", "variables/delete/u/vars/moved", None).problem(404);
    send(&host, "POST", "variables/update/u/vars/moved", Some(&json!({"value": "x"}))).problem(404);
}

#[test]
fn life_of_a_resource() {
    let host = shared();
    // The state of a script, as the clients keep it.
    let at = "u/vars/some_script/user";
    send(&host, "GET", &format!("resources/get_value_interpolated/{at}"), None).problem(404);
    let new = json!({"path": at, "value": {"seen": 1.50}, "resource_type": "state"});
    assert_eq!(post(&host, "resources/create", &new), (201, format!("resource {at} created")));
    send(&host, "POST", "resources/create", Some(&new)).problem(409);
    assert_eq!(post(&host, "resources/create?update_if_exists=true", &new).0, 201);
    assert_eq!(
        send(&host, "GET", &format!("resources/get_value/{at}"), None).text(),
        r#"{"seen":1.5}"#
    );
    assert_eq!(get(&host, &format!("resources/exists/{at}")), json!(true));
    assert_eq!(
        post(&host, &format!("resources/update_value/{at}"), &json!({"value": [1, null]})).0,
        200
    );
    let shown = get(&host, &format!("resources/get/{at}"));
    assert_eq!((&shown["value"], &shown["resource_type"]), (&json!([1, null]), &json!("state")));
    assert_eq!(
        post(&host, &format!("resources/update_value/{at}"), &json!({"value": null})).0,
        200
    );
    assert_eq!(get(&host, &format!("resources/get_value/{at}")), Value::Null);

    post(
        &host,
        "variables/create",
        &json!({"path": "g/all/pw", "value": "pass\"word", "is_secret": true}),
    );
    let database = json!({"path": "f/vars/db", "value": {"host": "h", "password": "$var:g/all/pw"}, "resource_type": "postgresql", "description": "d"});
    assert_eq!(post(&host, "resources/create", &database).0, 201);
    assert_eq!(
        get(&host, "resources/get_value_interpolated/f/vars/db"),
        json!({"host": "h", "password": "pass\"word"})
    );
    assert_eq!(get(&host, "resources/get_value/f/vars/db")["password"], json!("$var:g/all/pw"));
    let paths = |query: &str| -> Vec<String> {
        let listed = get(&host, &format!("resources/list?{query}"));
        listed
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["path"].as_str().expect("a path").to_owned())
            .collect()
    };
    assert_eq!(paths("resource_type=postgresql"), ["f/vars/db"]);
    assert_eq!(paths("resource_type=mysql,postgresql&path_start=f/vars"), ["f/vars/db"]);
    assert_eq!(paths("path_start=u/vars/"), [at]);
    assert_eq!(paths("path_start=u/vars/&page=2&per_page=1"), [""; 0]);
    let names = get(&host, "resources/type/listnames");
    assert!(names.as_array().expect("a list").contains(&json!("postgresql")), "{names}");
    assert!(get(&host, "resources/type/list").to_string().contains("\"name\":\"state\""));
    assert_eq!(
        post(
            &host,
            "resources/update/f/vars/db",
            &json!({"path": "f/vars/db2", "resource_type": "mysql"})
        )
        .0,
        200
    );
    assert_eq!(get(&host, "resources/get/f/vars/db2")["description"], json!("d"));
    assert_eq!(
        get(&host, "resources/get_value_interpolated/f/vars/db2")["password"],
        json!("pass\"word")
    );
    send(&host, "DELETE", "variables/delete/g/all/pw", None);
    assert!(
        send(&host, "GET", "resources/get_value_interpolated/f/vars/db2", None)
            .problem(404)
            .contains("g/all/pw")
    );
    for (body, word) in [
        (json!({"path": "nowhere", "value": 1, "resource_type": "any"}), "path"),
        (json!({"path": "u/vars/x", "value": 1, "resource_type": "no type"}), "resource_type"),
        (
            json!({"path": "u/vars/x", "value": {"a": "$var:no path"}, "resource_type": "any"}),
            "$var:no path",
        ),
    ] {
        assert!(
            send(&host, "POST", "resources/create", Some(&body)).problem(400).contains(word),
            "{body}"
        );
    }
}

#[test]
fn values_are_sealed_on_disk_and_need_their_key() {
    let home = Home::new();
    let mut host = home.start(&[]);
    let secrets = ["Var1able-plain-qZ7xW2", "Var1able-secret-qZ7xW2", "Res0urce-qZ7xW2"];
    for (name, secret, is_secret) in [("plain", secrets[0], false), ("hidden", secrets[1], true)] {
        post(
            &host,
            "variables/create",
            &json!({"path": format!("u/a/{name}"), "value": secret, "is_secret": is_secret}),
        );
    }
    post(
        &host,
        "resources/create",
        &json!({"path": "u/a/r", "value": [secrets[2]], "resource_type": "any"}),
    );
    host.push("u/tests/hello", &guest("hello"));
    post(
        &host,
        "variables/create",
        &json!({"path": "u/a/name", "value": "Ann", "is_secret": true}),
    );
    assert_eq!(
        host.call("u/tests/hello", &json!({"name": "$var:u/a/name"})).json()["greeting"],
        "Hello Ann!"
    );
    host.terminate();
    host.ended(30);
    for secret in secrets {
        assert_eq!(found_below(&home.path(""), secret), [""; 0], "{secret}");
    }

    let data = home.data();
    let key = data.join("value-key");
    let elsewhere = home.path("elsewhere");
    let serve = |more: &[&str]| {
        let data = data.to_str().expect("text");
        home.cli(&[&["serve", "--listen", "127.0.0.1:0", "--data", data][..], more].concat()).run()
    };
    std::fs::rename(&key, &elsewhere).expect("the key is moved");
    let refused = serve(&[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("value-key is missing") && !key.exists(), "{refused:?}");
    std::fs::write(home.path("other"), "ab".repeat(32)).expect("another key");
    let refused = serve(&["--value-key-file", home.path("other").to_str().expect("text")]);
    assert!(refused.code == 1 && refused.err.contains("is not the one"), "{refused:?}");
    let host = home.start(&["--value-key-file", elsewhere.to_str().expect("text")]);
    assert_eq!(get(&host, "variables/get_value/u/a/hidden"), json!(secrets[1]));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&elsewhere).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn limits() {
    let host = shared();
    let sized = |bytes: usize| json!({"path": "u/vars/large", "value": "x".repeat(bytes), "is_secret": false});
    assert_eq!(post(&host, "variables/create", &sized(1 << 20)).0, 201);
    assert!(
        send(&host, "POST", "variables/update/u/vars/large", Some(&sized((1 << 20) + 1)))
            .problem(413)
            .contains("1048576")
    );
    send(&host, "DELETE", "variables/delete/u/vars/large", None);
    let large =
        json!({"path": "u/vars/large", "value": "x".repeat(8 << 20), "resource_type": "any"});
    assert!(send(&host, "POST", "resources/create", Some(&large)).problem(413).contains("8388608"));
}
