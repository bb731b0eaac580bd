"""Federated training with ort-tl on Flower: parameters of trained layers travel, photos stay on their devices."""
