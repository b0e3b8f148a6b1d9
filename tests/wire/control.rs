//! IPA itself: the recordings are what it says, and are made here. These tests need `make lab`.

use super::agents::Kind;
use super::commanded;
use super::recording::{self, Conversation};
use super::told::{self, Start};
use serde_json::Value;
use support::ipa;
use tempfile::TempDir;

#[tokio::test]
async fn ipa_answers_as_recorded() {
    let folder = commanded::FOLDER;
    let mut faults = Vec::new();
    for (name, mut conversation) in recording::all::<Conversation>(folder) {
        let answers = commanded::hold(Kind::Ipa, &conversation).await;
        if recording::is_recording() {
            let ferrites = commanded::hold(Kind::Ferrite, &conversation).await;
            let both = answers.into_iter().zip(ferrites);
            for (exchange, (ipa, ferrite)) in conversation.exchanges.iter_mut().zip(both) {
                exchange.answers.record(ipa, ferrite);
            }
            recording::write(folder, &name, &conversation);
        } else {
            for (exchange, answer) in conversation.exchanges.iter().zip(answers) {
                if exchange.answers.ipa.as_ref() != Some(&answer) {
                    let now = format!("is answered otherwise now: {answer:#?}");
                    faults.push(commanded::told(&name, exchange, &now));
                }
            }
        }
        for exchange in &conversation.exchanges {
            let fault = exchange.answers.fault();
            faults.extend(fault.map(|fault| commanded::told(&name, exchange, fault)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn ipa_tells_ironic_what_is_recorded() {
    let mut faults = Vec::new();
    for (name, mut start) in recording::all::<Start>(told::FOLDER) {
        let sent = told::begin(Kind::Ipa, &start).await;
        if recording::is_recording() {
            let ferrites = told::begin(Kind::Ferrite, &start).await;
            start.requests.record(sent, ferrites);
            recording::write(told::FOLDER, &name, &start);
        } else if start.requests.ipa.as_ref() != Some(&sent) {
            faults.push(format!("{name}: something else is told now: {sent:#?}"));
        }
        let fault = start.requests.fault();
        faults.extend(fault.map(|fault| format!("{name} {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn ipas_error_classes_are_as_recorded() {
    let folder = TempDir::new().unwrap();
    let python = ipa::as_nobody(folder.path())
        .unwrap()
        .arg(format!("{}/bin/python", ipa::ENVIRONMENT))
        .args(["-c", ERROR_CLASSES])
        .output()
        .unwrap();
    assert!(python.status.success(), "{python:?}");
    let classes: Value = serde_json::from_slice(&python.stdout).unwrap();
    if recording::is_recording() {
        recording::write("", "errors.json", &classes);
    }
    assert_eq!(recording::document("errors.json"), classes);
}

/// Prints code and message of every class. Some say their code only when one is made, and one breaks then.
const ERROR_CLASSES: &str = "
import json
from ironic_python_agent import errors

def code(found):
    for arguments in range(4):
        try:
            return found(*['x'] * arguments).code
        except TypeError:
            pass
        except AttributeError:
            break
    return found.status_code

print(json.dumps({
    name: {'code': code(found), 'message': found.message}
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.RESTError)
}))
";
