// Package archtest holds the tests of the architecture: who may import whom, and who may open a secret.
package archtest
