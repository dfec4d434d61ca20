"""What the record promises when disk, clock and process fail, and what its seal promises when it is altered."""
