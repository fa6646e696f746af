// Package secret names secrets, fetches them, and keeps their values from being printed.
//
// A [Ref] says where a secret is and is safe to print. A [Source] turns a Ref into a [Lease], whose [Value] is sealed.
// A [Resolver] picks the source by the reference's scheme, and a [Set] holds the leases of one build and revokes them at its end.
//
// No error of this package or of a source contains a value, or text that may be a value pasted into the wrong place.
package secret
