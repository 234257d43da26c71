//! ALM on this store does what the model says it should.

use std::sync::{Arc, Mutex};

use alm_core::{ports::Store, testing::model::Check};

use crate::place::Place;

#[test]
fn alm_on_this_store_does_what_the_model_does() {
    // The places, and with them their server, stay until the last case has ended.
    let places = Mutex::new(Vec::new());
    Check::new().cases(8).commands(1..40).run(async || {
        let place = Place::migrated().await;
        let store = place.store().await;
        places.lock().unwrap().push(place);
        store as Arc<dyn Store>
    });
    assert_eq!(places.lock().unwrap().len(), 8);
}
