"""Two services, one asking the other: errors cross two borders and stay what they are."""
