//! Looks up suppressions.

use smtp2go_types::Suppression;

use crate::generated::blocking::SuppressionGroup;
use crate::{Error, operations};

impl SuppressionGroup<'_> {
    /// Returns all suppressions of an address or domain, whatever their age.
    ///
    /// Like [the method of the async client](crate::groups::SuppressionGroup::lookup).
    ///
    /// # Errors
    /// If the address is empty. Otherwise the errors of a call.
    pub fn lookup(&self, address: impl AsRef<str>) -> Result<Vec<Suppression>, Error> {
        let (client, address) = (self.client.client.clone(), address.as_ref().to_owned());
        let call = async move { client.suppression().lookup(address).await };
        self.client.worker.run(&operations::SUPPRESSION_VIEW, call)
    }
}
